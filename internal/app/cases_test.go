package app

import (
	"net/netip"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/cases"
	"ukai/internal/classify"
	"ukai/internal/dispatch"
	"ukai/internal/health"
	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// The story of 2019: a network is listed and Google refuses; the listing ends, Google's memory does not; in the end all is well.
func TestTheEndOfAListingClosesItsCaseAndLeavesTheProvidersOpen(t *testing.T) {
	c := settings(t)
	a, stop := running(t, c, Options{})
	client := api.NewClient(c.Data)
	states := func(client *api.Client) map[string]cases.State {
		list, err := client.Cases(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		all := make(map[string]cases.State)
		for _, i := range list {
			all[i.Case.Key.Name] = i.Case.State
		}
		return all
	}
	egress := a.egresses()[0]
	key := health.Key{Egress: egress, Provider: "google"}
	refused := outcome.Outcome{At: time.Now(), Phase: outcome.EndOfData, Egress: egress, Provider: "google", Reply: mail.NewReply(550, mail.Status{Class: 5, Subject: 7, Detail: 1}, "very low reputation")}
	verdict := classify.Verdict{Class: "ip_reputation", Blame: classify.BlameIP, Action: classify.Retry, Reputation: true, IP: netip.MustParseAddr("192.0.2.7")}
	for range 3 {
		a.judged(dispatch.Judged{Outcome: &refused, Verdict: &verdict, Domain: "gmail.com", Sender: "example.jp", Recipients: 1})
	}
	a.incidents.Moved(&health.Change{At: time.Now(), Key: key, From: health.Suspect, To: health.Blocked})
	listing := &health.Standing{At: time.Now(), Listing: "Spamhaus SBL", Net: netip.MustParsePrefix("192.0.2.0/24"), On: true}
	a.incidents.Listed(egress, listing)
	eventually(t, "case for the list and for Google", func() bool {
		s := states(client)
		return len(s) == 2 && s["spamhaus-sbl"] == cases.Open && s["google"] == cases.Open
	})
	list, err := client.Cases(t.Context(), 1)
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, i := range list {
		if _, err := client.OrderCase(t.Context(), i.Case.ID, "done", api.CaseOrder{By: "hanako", Fixed: "closed the form"}); err != nil {
			t.Fatal(err)
		}
	}

	listing.At, listing.On = time.Now(), false
	a.incidents.Listed(egress, listing)
	eventually(t, "end of the case for the list alone", func() bool {
		s := states(client)
		return s["spamhaus-sbl"] == cases.Over && s["google"] == cases.Asked
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	a, _ = running(t, c, Options{})
	client = api.NewClient(c.Data)
	if s := states(client); s["spamhaus-sbl"] != cases.Over || s["google"] != cases.Asked {
		t.Errorf("after a restart: %v", s)
	}

	a.incidents.Moved(&health.Change{At: time.Now(), Key: key, From: health.Recovering, To: health.Healthy})
	eventually(t, "end of Google's case", func() bool { return states(client)["google"] == cases.Over })
}

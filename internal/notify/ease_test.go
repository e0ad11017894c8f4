package notify

import (
	"testing"
	"testing/synctest"
	"time"

	"ukai/internal/incident"
)

func TestTheEndOfAListingIsToldWithTheNextNews(t *testing.T) {
	play(t, Options{Repeat: -1}, func(r *rig) {
		i := trouble(1, incident.Reputation)
		event := func(news incident.News) {
			r.n.Handle(incident.Event{At: time.Now(), News: news, Incident: i})
			synctest.Wait()
		}
		event(incident.WasOpened)
		r.expect("chat opened")

		i.Listings = []incident.ListEntry{{Name: "spamhaus-zen", Net: "192.0.2.0/24", Since: time.Now()}}
		event(incident.HasGrown)
		r.pass(5 * time.Minute)
		r.expect("chat grown")

		i.Listings = []incident.ListEntry{{Name: "spamhaus-zen", Net: "192.0.2.0/24", Since: i.Listings[0].Since, Until: time.Now()}}
		event(incident.HasGrown)
		r.pass(time.Hour)
		r.expect("")

		i.Providers = append(i.Providers[:1:1], incident.Provider{ID: "icloud"})
		event(incident.HasGrown)
		r.pass(time.Minute)
		r.expect("chat grown")

		i.Listings = append(i.Listings[:1:1], incident.ListEntry{Name: "spamhaus-zen", Net: "192.0.2.0/24", Since: time.Now()})
		event(incident.HasGrown)
		r.pass(time.Hour)
		r.expect("chat grown")
	})
}

func TestAnEndAmongOtherNewsHidesNothing(t *testing.T) {
	stood := incident.ListEntry{Name: "a", Net: "192.0.2.1/32", Since: time.Unix(1, 0)}
	ended, other := stood, stood
	ended.Until, other.Name = time.Unix(2, 0), "b"
	was := incident.Incident{Listings: []incident.ListEntry{stood}, Providers: []incident.Provider{{ID: "google"}}}
	for name, c := range map[string]struct {
		listings  []incident.ListEntry
		providers []incident.Provider
		want      bool
	}{
		"only the end":                {[]incident.ListEntry{ended}, was.Providers, true},
		"the end and another listing": {[]incident.ListEntry{ended, other}, was.Providers, false},
		"the end and a provider":      {[]incident.ListEntry{ended}, []incident.Provider{{ID: "google"}, {ID: "icloud"}}, false},
		"nothing that shows":          {was.Listings, was.Providers, false},
	} {
		if got := onlyEased(&was, &incident.Incident{Listings: c.listings, Providers: c.providers}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

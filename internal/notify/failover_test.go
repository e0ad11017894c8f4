package notify

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ukai/internal/incident"
)

var two = []ChannelOptions{{Name: "slack", Kind: Webhook}, {Name: "phone", Kind: Webhook}}

func TestABrokenChannelIsPassedOverAndToldOfOnce(t *testing.T) {
	play(t, Options{Channels: two, Repeat: -1}, func(r *rig) {
		r.breaks("slack")
		began := time.Now()
		r.event(incident.WasOpened)
		r.pass(soonAgain)
		r.expect("phone opened, phone channel_failed")
		if late := time.Since(began); late > time.Second {
			t.Errorf("told after %v", late)
		}
		r.event(incident.HasGrown)
		r.pass(6 * time.Minute)
		r.expect("phone grown")
		s := r.n.Status(time.Now())
		if !s.Channels[0].Failing || s.Channels[0].Error != "HTTP 500" || s.Channels[1].Failing {
			t.Errorf("%+v", s.Channels)
		}
		r.mends("slack")
		r.pass(31 * time.Minute)
		r.expect("slack channel_returned, phone channel_returned")
		r.event(incident.WasClosed)
		r.pass(10 * time.Second)
		r.expect("slack closed")
	})
}

func TestWhenNoChannelWorksTheNewestStateIsToldByTheFirstThatDoes(t *testing.T) {
	play(t, Options{Channels: two}, func(r *rig) {
		r.breaks("slack")
		r.breaks("phone")
		r.event(incident.WasOpened)
		r.pass(20 * time.Minute)
		r.expect("")
		i := trouble(1, incident.Reputation)
		i.Counts.Refused = 4321
		r.n.Handle(incident.Event{At: time.Now(), News: incident.HasGrown, Incident: i})
		r.mends("phone")
		r.pass(31 * time.Minute)
		r.mu.Lock()
		text := ""
		for _, g := range r.got {
			if g.news == incident.WasOpened {
				text += g.channel + " " + g.notice.Text()
			}
		}
		r.mu.Unlock()
		if !strings.HasPrefix(text, "phone ") || strings.Count(text, "4321") != 1 {
			t.Errorf("told: %s", text)
		}
		if got := r.heard(); strings.Count(got, "phone channel_failed") != 1 {
			t.Errorf("the other one's failure is told once: %s", got)
		}
	})
}

func TestTheNextLevelIsToldWhenNoneOfTheFirstWorks(t *testing.T) {
	play(t, Options{Channels: []ChannelOptions{{Name: "boss", Kind: Webhook, Level: 2}, {Name: "chat", Kind: Webhook}}}, func(r *rig) {
		r.breaks("chat")
		r.event(incident.WasOpened)
		r.pass(time.Second)
		r.expect("boss opened, boss channel_failed")
	})
}

func TestAllChannelsOfALevelAreToldWhereThatIsAskedFor(t *testing.T) {
	play(t, Options{Channels: two, All: true}, func(r *rig) {
		r.event(incident.WasOpened)
		r.expect("slack opened, phone opened")
	})
}

func TestEverySendIsRecorded(t *testing.T) {
	play(t, Options{Channels: two}, func(r *rig) {
		r.breaks("slack")
		r.event(incident.WasOpened)
		r.pass(time.Second)
		list, err := r.n.Sends(r.t.Context(), 10)
		if err != nil || len(list) != 3 {
			t.Fatal(list, err)
		}
		first, second := list[2], list[1]
		if first.Channel != "slack" || first.OK || first.Attempts != 2 || first.Error != "HTTP 500" || first.Incident != 1 || first.News != incident.WasOpened {
			t.Errorf("%+v", first)
		}
		if second.Channel != "phone" || !second.OK || second.Attempts != 1 {
			t.Errorf("%+v", second)
		}
		r.pass(100 * 24 * time.Hour)
		if err := r.n.forget(r.t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestATestGoesOutWhateverTheHour(t *testing.T) {
	play(t, Options{Quiet: Quiet{From: 0, To: 23 * time.Hour}, Channels: two}, func(r *rig) {
		r.breaks("slack")
		if _, err := r.n.Test(r.t.Context(), "nobody"); !errors.Is(err, ErrNoChannel) {
			t.Error(err)
		}
		if res, err := r.n.Test(r.t.Context(), "slack"); err != nil || res.OK || res.Error != "HTTP 500" {
			t.Errorf("%+v %v", res, err)
		}
		if res, err := r.n.Test(r.t.Context(), "phone"); err != nil || !res.OK {
			t.Errorf("%+v %v", res, err)
		}
		r.expect("phone test")
		r.mends("slack")
		if res, err := r.n.Test(r.t.Context(), "slack"); err != nil || !res.OK || r.n.Status(time.Now()).Channels[0].Failing {
			t.Errorf("%+v %v", res, err)
		}
	})
}

func TestAChannelThatStaysTheSameKeepsItsStateAtAReload(t *testing.T) {
	play(t, Options{Channels: two}, func(r *rig) {
		r.breaks("slack")
		if _, err := r.n.Test(r.t.Context(), "slack"); err != nil {
			t.Fatal(err)
		}
		r.n.Configure(Options{Channels: append([]ChannelOptions{{Name: "new", Kind: Webhook}}, two...)})
		s := r.n.Status(time.Now())
		if len(s.Channels) != 3 || s.Channels[0].Failing || !s.Channels[1].Failing {
			t.Errorf("%+v", s.Channels)
		}
		r.n.Configure(Options{Channels: two[1:]})
		if s := r.n.Status(time.Now()); len(s.Channels) != 1 || s.Channels[0].Name != "phone" {
			t.Errorf("%+v", s.Channels)
		}
	})
}

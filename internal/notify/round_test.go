package notify

import (
	"testing"
	"time"

	"ukai/internal/incident"
)

const forever = 24 * time.Hour

func TestAChannelThatHangsDoesNotMakeTheFirstNoticeLate(t *testing.T) {
	for _, news := range []incident.News{incident.WasOpened, incident.WasReopened} {
		play(t, Options{Channels: two, Repeat: -1}, func(r *rig) {
			r.slows("slack", forever)
			r.event(news)
			r.pass(hedgeBeside - time.Millisecond)
			r.expect("")
			r.pass(time.Millisecond)
			r.expect("phone " + string(news))
			if s := r.n.Status(time.Now()); s.Waiting != 0 || s.Channels[0].Failing {
				t.Errorf("while the first one hangs: %+v", s)
			}
			r.pass(10 * time.Second)
			r.expect("phone channel_failed")
			list, err := r.n.Sends(r.t.Context(), 10)
			if err != nil || len(list) != 3 {
				t.Fatal(list, err)
			}
			if late := list[1]; late.Channel != "slack" || late.OK || late.Took != 10*time.Second || late.News != news {
				t.Errorf("%+v", late)
			}
			r.event(incident.WasClosed)
			r.pass(6 * time.Second)
			r.expect("phone closed")
		})
	}
}

func TestAChannelThatAnswersAfterAnotherWasAskedHasNotFailed(t *testing.T) {
	play(t, Options{Channels: two, Repeat: -1}, func(r *rig) {
		r.slows("slack", 2*time.Second)
		r.event(incident.WasOpened)
		r.pass(3 * time.Second)
		r.expect("phone opened, slack opened")
		list, err := r.n.Sends(r.t.Context(), 10)
		if err != nil || len(list) != 2 || !list[0].OK || !list[1].OK {
			t.Errorf("%+v %v", list, err)
		}
		for _, c := range r.n.Status(time.Now()).Channels {
			if c.Failing || c.LastOK.IsZero() {
				t.Errorf("%+v", c)
			}
		}
		r.n.mu.Lock()
		if n := len(r.n.threads[1].Sent); n != 1 {
			t.Errorf("it counts as %d notices", n)
		}
		r.n.mu.Unlock()
		r.event(incident.HasGrown)
		r.pass(6 * time.Minute)
		r.expect("slack grown") // nobody waits for that by the second
	})
}

func TestAChannelThatFailsLateIsPassedOverToTheOneAfterTheNext(t *testing.T) {
	three := []ChannelOptions{{Name: "a", Kind: Webhook}, {Name: "b", Kind: Webhook}, {Name: "c", Kind: Webhook}}
	play(t, Options{Channels: three, Repeat: -1}, func(r *rig) {
		r.slows("a", forever)
		r.breaks("b")
		r.event(incident.WasOpened)
		r.pass(hedgeBeside + soonAgain)
		r.expect("c opened")
	})
}

func TestAMomentsDelayWakesNobodyOfAHigherLevel(t *testing.T) {
	levels := []ChannelOptions{{Name: "chat", Kind: Webhook}, {Name: "boss", Kind: Webhook, Level: 2}}
	play(t, Options{Channels: levels, Repeat: -1, Escalate: -1}, func(r *rig) {
		r.slows("chat", 2*time.Second)
		r.event(incident.WasOpened)
		r.pass(time.Minute)
		r.expect("chat opened")
		r.slows("chat", forever)
		r.happens(2, incident.Content, incident.WasOpened)
		r.pass(hedgeAbove)
		r.expect("boss opened")
	})
}

func TestOfAllChannelsNoneWaitsForOneThatHangs(t *testing.T) {
	play(t, Options{Channels: two, All: true, Repeat: -1}, func(r *rig) {
		r.slows("slack", forever)
		r.event(incident.WasOpened)
		r.pass(hedgeBeside)
		r.expect("phone opened")
		r.pass(10 * time.Second)
		r.expect("phone channel_failed")
	})
}

func TestTheEndOfTheRunEndsWhatHangs(t *testing.T) {
	play(t, Options{Channels: two}, func(r *rig) { // it would not end before the bubble does
		r.slows("slack", forever)
		r.slows("phone", forever)
		r.event(incident.WasOpened)
		r.pass(time.Second)
		r.expect("")
	})
}

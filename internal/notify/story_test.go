package notify

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ukai/internal/incident"
)

func TestAnOpeningIsToldAtOnceAndOnce(t *testing.T) {
	play(t, Options{}, func(r *rig) {
		r.event(incident.WasOpened)
		r.expect("chat opened")
		r.event(incident.WasOpened) // told: a second one is the beginning of another chapter, so it is told
		r.expect("chat opened")
		r.pass(time.Hour)
		r.expect("")
	})
}

func TestGrowthIsGroupedWithPausesThatTreble(t *testing.T) {
	play(t, Options{Repeat: -1}, func(r *rig) {
		r.event(incident.WasOpened)
		r.expect("chat opened")
		for range 100 {
			r.event(incident.HasGrown)
		}
		r.pass(4 * time.Minute)
		r.expect("")
		r.pass(time.Minute)
		r.expect("chat grown")
		r.event(incident.HasGrown)
		r.pass(14 * time.Minute)
		r.expect("")
		r.pass(time.Minute)
		r.expect("chat grown")
		r.pass(24 * time.Hour)
		r.expect("")
	})
}

func TestAStormOfAHundredThousandEventsMakesSixNoticesAtMost(t *testing.T) {
	play(t, Options{}, func(r *rig) {
		r.event(incident.WasOpened)
		i := trouble(1, incident.Reputation)
		for n := range 100_000 {
			i.Counts.Refused++
			r.n.Handle(incident.Event{At: time.Now(), News: incident.HasGrown, Incident: i})
			if n%1000 == 0 {
				r.pass(108 * time.Second) // three hours in all
			}
		}
		i.State, i.ClosedAt = incident.Closed, time.Now()
		r.n.Handle(incident.Event{At: time.Now(), News: incident.WasClosed, Incident: i})
		r.pass(time.Minute)
		got := r.heard()
		if n := strings.Count(got, "chat"); n > 6 || !strings.HasPrefix(got, "chat opened") || !strings.HasSuffix(got, "chat closed") {
			t.Errorf("%d notices: %s", n, got)
		}
	})
}

func TestAnIncidentHasItsLimitPerHourWithAPlaceForItsEnd(t *testing.T) {
	play(t, Options{PerHour: 3, GroupInterval: time.Minute, Repeat: -1}, func(r *rig) {
		r.event(incident.WasOpened)
		for range 50 {
			r.event(incident.HasGrown)
			r.pass(time.Minute)
		}
		r.event(incident.WasClosed)
		r.pass(time.Minute)
		r.expect("chat opened, chat grown, chat closed")
	})
}

func TestPeopleAreRemindedUntilSomebodyTakesItOn(t *testing.T) {
	play(t, Options{}, func(r *rig) {
		r.event(incident.WasOpened)
		r.expect("chat opened")
		r.pass(4*time.Hour + time.Second)
		r.expect("chat repeated")
		r.pass(4*time.Hour + time.Second)
		r.expect("chat repeated")
		r.event(incident.WasAcked)
		r.pass(10 * time.Second)
		r.expect("chat acknowledged")
		r.pass(48 * time.Hour)
		r.expect("")
		r.event(incident.WasClosed)
		r.pass(10 * time.Second)
		r.expect("chat closed")
	})
}

func TestAReminderTellsHowThingsStandNow(t *testing.T) {
	play(t, Options{}, func(r *rig) {
		r.n.parts.Current = func(id int64) (incident.Incident, bool) {
			i := trouble(id, incident.Reputation)
			i.Counts.Refused = 4711
			return i, true
		}
		r.event(incident.WasOpened)
		r.pass(4*time.Hour + time.Second)
		r.mu.Lock()
		defer r.mu.Unlock()
		last := r.got[len(r.got)-1]
		if last.news != isRepeated || last.notice.Event.Incident.Counts.Refused != 4711 {
			t.Errorf("%s told of %d refusals", last.news, last.notice.Event.Incident.Counts.Refused)
		}
	})
}

func TestWhatNobodyTakesOnIsToldToTheNextLevel(t *testing.T) {
	levels := []ChannelOptions{{Name: "chat", Kind: Webhook}, {Name: "phone", Kind: Webhook, Level: 2}, {Name: "boss", Kind: Webhook, Level: 3}}
	play(t, Options{Channels: levels}, func(r *rig) {
		r.event(incident.WasOpened)
		r.pass(30 * time.Minute)
		r.expect("chat opened, phone escalated")
		r.pass(30 * time.Minute)
		r.expect("boss escalated")
		r.event(incident.WasClosed) // those who were told of it are told of its end
		r.pass(10 * time.Second)
		r.expect("chat closed, phone closed, boss closed")
	})
	play(t, Options{Channels: levels}, func(r *rig) {
		r.event(incident.WasOpened)
		r.event(incident.WasAcked)
		r.pass(time.Hour)
		r.expect("chat opened, chat acknowledged")
	})
}

func TestASilenceKeepsNoticesBackUntilItEnds(t *testing.T) {
	for name, s := range map[string]Silence{"all": {}, "id": {Incident: 1}, "cause": {Kind: incident.Reputation, Place: "192.0.2.0/24"}} {
		t.Run(name, func(t *testing.T) {
			play(t, Options{}, func(r *rig) {
				s.Until, s.Why = time.Now().Add(time.Hour), "maintenance"
				kept, err := r.n.Silence(r.t.Context(), s, time.Now())
				if err != nil || kept.ID == 0 {
					t.Fatal(kept, err)
				}
				r.event(incident.WasOpened)
				r.pass(59 * time.Minute)
				r.expect("")
				r.pass(2 * time.Minute)
				r.expect("chat opened")
			})
		})
	}
}

func TestASilenceOfAnotherIncidentSilencesNothing(t *testing.T) {
	for name, s := range map[string]Silence{"id": {Incident: 2}, "kind": {Kind: incident.Content}, "place": {Place: "198.51.100.0/24"}} {
		t.Run(name, func(t *testing.T) {
			play(t, Options{}, func(r *rig) {
				s.Until, s.Why = time.Now().Add(time.Hour), "maintenance"
				if _, err := r.n.Silence(r.t.Context(), s, time.Now()); err != nil {
					t.Fatal(err)
				}
				r.event(incident.WasOpened)
				r.expect("chat opened")
			})
		})
	}
}

func TestWhatEndsInSilenceIsNotTold(t *testing.T) {
	play(t, Options{}, func(r *rig) {
		if _, err := r.n.Silence(r.t.Context(), Silence{Until: time.Now().Add(time.Hour), Why: "maintenance"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		r.event(incident.WasOpened)
		r.event(incident.WasClosed)
		r.pass(3 * time.Hour)
		r.expect("")
	})
}

func TestASilenceCanBeEndedAndNeedsAReasonAndAnEnd(t *testing.T) {
	play(t, Options{}, func(r *rig) {
		now := time.Now()
		if _, err := r.n.Silence(r.t.Context(), Silence{Until: now.Add(time.Hour), Why: " "}, now); !errors.Is(err, ErrNoReason) {
			t.Error(err)
		}
		if _, err := r.n.Silence(r.t.Context(), Silence{Until: now, Why: "x"}, now); !errors.Is(err, ErrNoEnd) {
			t.Error(err)
		}
		s, err := r.n.Silence(r.t.Context(), Silence{Until: now.Add(time.Hour), Why: "x"}, now)
		if err != nil {
			t.Fatal(err)
		}
		r.event(incident.WasOpened)
		r.expect("")
		if _, err := r.n.Unsilence(r.t.Context(), s.ID, time.Now()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		r.expect("chat opened")
		if _, err := r.n.Unsilence(r.t.Context(), s.ID, time.Now()); !errors.Is(err, ErrNoSilence) {
			t.Error(err)
		}
	})
}

func TestInQuietHoursOnlyWhatMayWakePeopleDoes(t *testing.T) {
	night := Options{Quiet: Quiet{From: 22 * time.Hour, To: 7 * time.Hour}} // the bubble begins at midnight
	play(t, night, func(r *rig) {
		r.happens(1, incident.Content, incident.WasOpened)
		r.happens(2, incident.Reputation, incident.WasOpened)
		r.expect("chat opened")
		r.happens(2, incident.Reputation, incident.WasClosed)
		r.pass(7*time.Hour - time.Second)
		r.expect("")
		r.pass(10 * time.Second)
		got := strings.Split(r.heard(), ", ")
		if len(got) != 2 || !(strings.Contains(got[0]+got[1], "opened") && strings.Contains(got[0]+got[1], "closed")) {
			t.Errorf("in the morning: %q", got)
		}
	})
	night.Quiet.Through = []incident.Kind{}
	play(t, night, func(r *rig) {
		r.event(incident.WasOpened)
		r.expect("")
		r.pass(7 * time.Hour)
		r.expect("chat opened")
	})
}

func TestQuietHoursFollowTheClockOnTheWall(t *testing.T) {
	day := func(hour, min int) time.Time { return time.Date(2026, 4, 15, hour, min, 0, 0, time.UTC) }
	for _, c := range []struct {
		name     string
		from, to time.Duration
		at       time.Time
		until    time.Time
		quiet    bool
	}{
		{"before a window within the day", 12 * time.Hour, 13 * time.Hour, day(11, 59), day(11, 59), false},
		{"its first minute", 12 * time.Hour, 13 * time.Hour, day(12, 0), day(13, 0), true},
		{"its end does not belong to it", 12 * time.Hour, 13 * time.Hour, day(13, 0), day(13, 0), false},
		{"late, in one over midnight", 22 * time.Hour, 7 * time.Hour, day(23, 30), day(7, 0).AddDate(0, 0, 1), true},
		{"early, in one over midnight", 22 * time.Hour, 7 * time.Hour, day(6, 59), day(7, 0), true},
		{"by day, beside one over midnight", 22 * time.Hour, 7 * time.Hour, day(12, 0), day(12, 0), false},
		{"no window", 0, 0, day(3, 0), day(3, 0), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := Quiet{From: c.from, To: c.to, Location: time.UTC}
			if until, quiet := q.holds(c.at); quiet != c.quiet || !until.Equal(c.until) {
				t.Errorf("got %v until %v", quiet, until)
			}
		})
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	q := Quiet{From: 22 * time.Hour, To: 7 * time.Hour, Location: berlin}
	until, quiet := q.holds(time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)) // the night has 23 hours
	if want := time.Date(2026, 3, 29, 5, 0, 0, 0, time.UTC); !quiet || !until.Equal(want) {
		t.Errorf("got %v until %v, want %v", quiet, until, want)
	}
}

func TestWhatFlapsWithinAMomentIsNotTold(t *testing.T) {
	play(t, Options{}, func(r *rig) {
		r.event(incident.WasOpened)
		r.pass(time.Minute)
		r.event(incident.WasClosed)
		r.pass(time.Second)
		r.event(incident.WasReopened)
		r.pass(time.Hour)
		r.expect("chat opened")
	})
}

func TestARestartGoesOnWhereTheLastRunLeftIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		defer r.stop()
		end := r.run()
		r.event(incident.WasOpened)
		r.expect("chat opened")
		end()
		r.open(r.n.parts.DB, Options{})
		open := []incident.Incident{trouble(1, incident.Reputation), trouble(2, incident.Reputation)}
		if err := r.n.Restore(r.t.Context(), open, time.Now()); err != nil {
			t.Fatal(err)
		}
		end = r.run()
		r.pass(time.Minute)
		r.expect("chat opened") // that of the incident 2
		r.pass(4 * time.Hour)
		r.expect("chat repeated, chat repeated")
		end()
	})
}

func TestTheNumberOfIncidentsThatAreFollowedIsBounded(t *testing.T) {
	play(t, Options{}, func(r *rig) {
		r.breaks("chat")
		for id := range int64(maxThreads + 5) {
			r.n.Handle(incident.Event{At: time.Now(), News: incident.WasOpened, Incident: trouble(id+1, incident.Content)})
		}
		if s := r.n.Status(time.Now()); s.Dropped != 5 || s.Waiting != maxThreads {
			t.Errorf("%+v", s)
		}
	})
}

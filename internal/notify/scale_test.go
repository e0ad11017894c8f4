package notify

import (
	"testing"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/incident"
)

func TestOnAFasterClockPausesAndTheLimitAreShorter(t *testing.T) {
	play(t, Options{PerHour: 3}.Scaled(60), func(r *rig) {
		r.event(incident.WasOpened)
		r.expect("chat opened")
		r.event(incident.HasGrown)
		r.pass(4 * time.Second) // minutes of the story are seconds
		r.expect("")
		r.pass(time.Second)
		r.expect("chat grown")
		r.event(incident.HasGrown)
		r.pass(54 * time.Second) // its pause is over, but this would be the third in an hour, and that place is kept for the end
		r.expect("")
		r.pass(time.Second)
		r.expect("chat grown")
		r.pass(4 * time.Minute)
		r.expect("chat repeated")
	})
}

func TestAFasterClockDoesNotHurryWhatIsNotOfTheStory(t *testing.T) {
	o := Options{Repeat: -1, Channels: []ChannelOptions{{Name: "chat", Kind: Webhook}}, Heartbeat: Heartbeat{Every: time.Minute}}
	fast := o.Scaled(600)
	if fast.Channels[0].Timeout != 10*time.Second || fast.Heartbeat.Every != time.Minute || fast.Repeat != -1 || fast.Hour != 6*time.Second {
		t.Errorf("%+v", fast)
	}
	if o.Channels[0].Lang != "" || fast.Channels[0].Lang != i18n.EN {
		t.Error("the options that were scaled are others than before")
	}
	if same := o.Scaled(0); same.Hour != 0 {
		t.Error("a clock without a speed is an ordinary one")
	}
}

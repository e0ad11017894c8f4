package route

import "ukai/internal/i18n"

// Reason says why, as a key of the message catalogue ("route.why.preferred", ...).
type Reason string

// The reasons to send.
const (
	Preferred      Reason = "route.why.preferred"       // the preferred way is open
	Doubted        Reason = "route.why.suspect"         // it is suspect, and used all the same
	InShare        Reason = "route.why.recovering"      // it is recovering, and this message is in its share
	Staying        Reason = "route.why.stay"            // that way asked for the message to come back
	ProbeDue       Reason = "route.why.probe"           // this message is the probe, with the detour ready
	ProbeAlone     Reason = "route.why.probe_alone"     // every way is shut, and this message is the probe
	DetourBlocked  Reason = "route.why.detour_blocked"  // the preferred way is shut
	DetourRefused  Reason = "route.why.detour_refused"  // the preferred way refused this message a moment ago
	DetourShare    Reason = "route.why.detour_share"    // it is recovering, and this message is not in its share
	DetourWarmUp   Reason = "route.why.detour_warm_up"  // its budget for today is used up
	DetourSlow     Reason = "route.why.detour_slow"     // it has been rate limited for long
	OnlyRecovering Reason = "route.why.recovering_only" // recovering, not in its share, but no other way is open
)

// The reasons to wait, and not to send.
const (
	HoldBlocked Reason = "route.why.hold_blocked" // every way is shut
	HoldShare   Reason = "route.why.hold_share"   // bulk mail waits until the share of a recovering way grows
	HoldRefused Reason = "route.why.hold_refused" // every way refused this message in this attempt
	SlowRate    Reason = "route.why.slow"         // the provider said: too fast
	SlowWarmUp  Reason = "route.why.warm_up"      // today's budget is used up
	NoPool      Reason = "route.why.no_pool"      // no pool is for this sender
	NotAllowed  Reason = "route.why.not_allowed"  // no egress of the pool accepts this provider and sender, or all are disabled
	NotFit      Reason = "route.why.not_fit"      // mail of this sender would fail authentication over every egress
	OnlyObserve Reason = "route.why.observe"      // observe mode: the preferred way refused it, and no detour is taken
)

// Text tells a decision about mail to a provider in a sentence. In observe mode it tells what act mode would have done.
func (t *Table) Text(l i18n.Lang, d *Decision, provider string) string {
	name := func(i int) string {
		if i < 0 || i >= len(t.Egresses) {
			return "-"
		}
		return t.Egresses[i].Name
	}
	return i18n.Text(l, string(d.Reason), "egress", name(d.Would), "preferred", name(d.Preferred), "provider", provider, "until", d.Until)
}

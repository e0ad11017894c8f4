package health

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/outcome"
)

var start = time.Date(2019, 4, 15, 9, 0, 0, 0, time.UTC)

var pathKey = Key{"direct", "google"}

// desk is a book with a hand on the clock. Jitter is off: rand returns the middle.
type desk struct {
	*Book
	t   testing.TB
	now time.Time
	n   int
}

func newDesk(t testing.TB, opts Options) *desk {
	if opts.Rand == nil {
		opts.Rand = func() float64 { return 0.5 }
	}
	return &desk{Book: New(opts, slog.New(slog.DiscardHandler)), t: t, now: start}
}

func (d *desk) evidence(v classify.Verdict, code int, phase outcome.Phase) Evidence {
	d.n++
	return Evidence{
		At: d.now, Key: pathKey, Verdict: v, MsgID: fmt.Sprint("m", d.n),
		Outcome: outcome.Outcome{At: d.now, Phase: phase, Reply: mail.Reply{Code: code, Lines: []string{"text"}}},
	}
}

var (
	okVerdict   = classify.Verdict{Class: "delivered", Action: classify.Deliver}
	ipVerdict   = classify.Verdict{Class: "ip_reputation", Blame: classify.BlameIP, Scope: classify.ScopeIP, Action: classify.Fail, Detour: true, Reputation: true}
	netVerdict  = classify.Verdict{Class: "ip_reputation", Blame: classify.BlameRange, Scope: classify.ScopeRange, Action: classify.Fail, Detour: true, Reputation: true}
	userVerdict = classify.Verdict{Class: "user_unknown", Blame: classify.BlameRecipient, Scope: classify.ScopeRecipient, Action: classify.Fail}
	rateVerdict = classify.Verdict{Class: "rate_limited", Blame: classify.BlameRate, Scope: classify.ScopeIP, Action: classify.Retry}
)

func verdict(class string, blame classify.Blame) classify.Verdict {
	return classify.Verdict{Class: class, Blame: blame, Scope: classify.ScopeMessage, Action: classify.Fail}
}

// A deed is one thing that happens to the book.
type deed func(*desk) []Change

func observe(v classify.Verdict, code int, phase outcome.Phase) deed {
	return func(d *desk) []Change { return d.Observe(d.evidence(v, code, phase)) }
}

func answerProbe(v classify.Verdict, code int, phase outcome.Phase) deed {
	return func(d *desk) []Change {
		ev := d.evidence(v, code, phase)
		ev.Probe = true
		return d.Observe(ev)
	}
}

var (
	accept      = observe(okVerdict, 250, outcome.EndOfData)
	refuse      = observe(ipVerdict, 550, outcome.EndOfData)
	deferIt     = observe(ipVerdict, 421, outcome.EndOfData)
	probeGood   = answerProbe(okVerdict, 250, outcome.EndOfData)
	probeBad    = answerProbe(ipVerdict, 550, outcome.EndOfData)
	unknownUser = observe(userVerdict, 550, outcome.RcptTo)
	tooFast     = observe(rateVerdict, 421, outcome.MailFrom)
	tick        = func(d *desk) []Change { return d.Tick(d.now) }
	unpinned    = func(d *desk) []Change { return d.Clear(pathKey, d.now) }
	putBack     = func(d *desk) []Change { return d.ReleaseProbe(pathKey, d.now) }
)

func pinned(d time.Duration) deed {
	return func(k *desk) []Change {
		p := Pin{At: k.now, Why: "we know better", By: "root"}
		if d != 0 {
			p.Until = k.now.Add(d)
		}
		return k.Block(pathKey, p)
	}
}

// begin asks for the probe; the change it makes is seen by the state alone.
func begin(want bool) deed {
	return func(d *desk) []Change {
		if got := d.BeginProbe(pathKey, d.now); got != want {
			d.t.Errorf("at %v: BeginProbe = %v, want %v", d.now.Sub(start), got, want)
		}
		return nil
	}
}

func listed(on bool, name string) deed {
	return func(d *desk) []Change {
		return d.SetStanding(Standing{At: d.now, Listing: name, Egress: "direct", Providers: []string{"google"}, On: on})
	}
}

// times does a deed several times in the same second.
func times(n int, do deed) deed {
	return func(d *desk) (all []Change) {
		for range n {
			all = append(all, do(d)...)
		}
		return all
	}
}

// step is a line of a story: what happens after what time, which changes it makes ("from>to why"), where the path stands then.
type step struct {
	in      time.Duration
	do      deed
	changes string
	state   State
}

func told(changes []Change) string {
	var all []string
	for _, c := range changes {
		all = append(all, fmt.Sprintf("%s>%s %s", c.From, c.To, strings.TrimPrefix(c.Why, "health.why.")))
	}
	return strings.Join(all, ", ")
}

const (
	sec  = time.Second
	mins = time.Minute
)

var blockedByThree = []step{
	{0, refuse, "healthy>suspect first_refusal", Suspect},
	{sec, refuse, "", Suspect},
	{sec, refuse, "suspect>blocked refusals", Blocked},
}

var recovering = append(blockedByThree[:3:3],
	step{mins, begin(true), "", Probing},
	step{sec, probeGood, "probing>probing probe_good", Probing},
	step{15 * sec, begin(true), "", Probing},
	step{sec, probeGood, "probing>recovering probes_good", Recovering},
)

func after(before []step, more ...step) []step {
	return append(before[:len(before):len(before)], more...)
}

var stories = map[string][]step{
	"one refusal makes a path suspect, ten clean minutes make it healthy": {
		{0, refuse, "healthy>suspect first_refusal", Suspect},
		{9 * mins, tick, "", Suspect},
		{mins, tick, "suspect>healthy clean_window", Healthy},
	},
	"a second refusal starts the clean window anew": {
		{0, refuse, "healthy>suspect first_refusal", Suspect},
		{9 * mins, refuse, "", Suspect},
		{9 * mins, tick, "", Suspect},
		{mins, tick, "suspect>healthy clean_window", Healthy},
	},
	"accepted mail ends suspicion only after the window": {
		{0, refuse, "healthy>suspect first_refusal", Suspect},
		{5 * mins, accept, "", Suspect},
		{5 * mins, accept, "suspect>healthy clean_window", Healthy},
	},
	"three refusals of three block": blockedByThree,
	"three refusals among three acceptances block, half is enough": {
		{0, times(3, accept), "", Healthy},
		{sec, refuse, "healthy>suspect first_refusal", Suspect},
		{sec, refuse, "", Suspect},
		{sec, refuse, "suspect>blocked refusals", Blocked},
	},
	"three refusals among four acceptances do not block": {
		{0, times(4, accept), "", Healthy},
		{sec, times(3, refuse), "healthy>suspect first_refusal", Suspect},
	},
	"acceptances before the window do not count": {
		{0, times(15, accept), "", Healthy},
		{11 * mins, times(3, refuse), "healthy>suspect first_refusal, suspect>blocked refusals", Blocked},
	},
	"refusals before the window do not count, but they are a run": {
		{0, refuse, "healthy>suspect first_refusal", Suspect},
		{6 * mins, refuse, "", Suspect},
		{6 * mins, refuse, "", Suspect},
		{6 * mins, refuse, "suspect>blocked run", Blocked},
	},
	"a busy path is blocked by a run of four, not by half of thousands": {
		{0, times(5000, accept), "", Healthy},
		{sec, times(3, refuse), "healthy>suspect first_refusal", Suspect},
		{sec, refuse, "suspect>blocked run", Blocked},
	},
	"a busy path that refuses every second message is blocked by the last twenty": {
		{0, times(5000, accept), "", Healthy},
		{sec, times(9, func(d *desk) []Change { return append(refuse(d), accept(d)...) }), "healthy>suspect first_refusal", Suspect},
		{sec, times(1, func(d *desk) []Change { return append(refuse(d), accept(d)...) }), "suspect>blocked refusals", Blocked},
	},
	"a path with one message an hour is blocked by the fourth refusal in a row": {
		{0, refuse, "healthy>suspect first_refusal", Suspect},
		{time.Hour, refuse, "suspect>healthy clean_window, healthy>suspect first_refusal", Suspect},
		{time.Hour, refuse, "suspect>healthy clean_window, healthy>suspect first_refusal", Suspect},
		{time.Hour, refuse, "suspect>healthy clean_window, healthy>suspect first_refusal, suspect>blocked run", Blocked},
	},
	"an acceptance breaks a run": {
		{0, refuse, "healthy>suspect first_refusal", Suspect},
		{time.Hour, times(2, accept), "suspect>healthy clean_window", Healthy},
		{time.Hour, refuse, "healthy>suspect first_refusal", Suspect},
		{time.Hour, refuse, "suspect>healthy clean_window, healthy>suspect first_refusal", Suspect},
		{time.Hour, refuse, "suspect>healthy clean_window, healthy>suspect first_refusal", Suspect},
	},
	"refusals more than a day apart are no run": {
		{0, refuse, "healthy>suspect first_refusal", Suspect},
		{time.Hour, refuse, "suspect>healthy clean_window, healthy>suspect first_refusal", Suspect},
		{time.Hour, refuse, "suspect>healthy clean_window, healthy>suspect first_refusal", Suspect},
		{25 * time.Hour, refuse, "suspect>healthy clean_window, healthy>suspect first_refusal", Suspect},
	},
	"deferrals count half: six of them block": {
		{0, times(5, deferIt), "healthy>suspect first_refusal", Suspect},
		{sec, deferIt, "suspect>blocked refusals", Blocked},
	},
	"a reputation refusal without a reply counts as a deferral": {
		{0, times(5, observe(ipVerdict, 0, outcome.Greeting)), "healthy>suspect first_refusal", Suspect},
		{sec, observe(ipVerdict, 0, outcome.Greeting), "suspect>blocked refusals", Blocked},
	},
	"unknown users, spam, authentication and dead hosts move nothing": {
		{0, times(30, unknownUser), "", Healthy},
		{0, times(30, observe(verdict("spam_content", classify.BlameContent), 554, outcome.EndOfData)), "", Healthy},
		{0, times(30, observe(verdict("auth_failure", classify.BlameAuthentication), 550, outcome.EndOfData)), "", Healthy},
		{0, times(30, observe(verdict("network_error", classify.BlameNetwork), 0, outcome.Connect)), "", Healthy},
		{0, times(30, observe(verdict("domain_reputation", classify.BlameDomain), 550, outcome.EndOfData)), "", Healthy},
	},
	"one message refused for each of its recipients is refused once": {
		{0, func(d *desk) (all []Change) {
			for range 50 {
				ev := d.evidence(ipVerdict, 550, outcome.RcptTo)
				ev.MsgID = "same"
				all = append(all, d.Observe(ev)...)
			}
			return all
		}, "healthy>suspect first_refusal", Suspect},
	},
	"a probe that is refused waits longer each time, up to an hour": after(blockedByThree,
		step{59 * sec, begin(false), "", Blocked},
		step{sec, begin(true), "", Probing},
		step{0, probeBad, "probing>blocked probe_refused", Blocked},
		step{119 * sec, begin(false), "", Blocked},
		step{sec, begin(true), "", Probing},
		step{0, probeBad, "probing>blocked probe_refused", Blocked},
		step{4 * mins, begin(true), "", Probing},
		step{0, probeBad, "probing>blocked probe_refused", Blocked},
		step{8 * mins, begin(true), "", Probing},
		step{0, probeBad, "probing>blocked probe_refused", Blocked},
		step{16 * mins, begin(true), "", Probing},
		step{0, probeBad, "probing>blocked probe_refused", Blocked},
		step{32 * mins, begin(true), "", Probing},
		step{0, probeBad, "probing>blocked probe_refused", Blocked},
		step{59 * mins, begin(false), "", Blocked},
		step{mins, begin(true), "", Probing},
	),
	"a deferred probe is a refused one": after(blockedByThree,
		step{mins, begin(true), "", Probing},
		step{sec, answerProbe(ipVerdict, 421, outcome.Greeting), "probing>blocked probe_refused", Blocked},
	),
	"only one probe is on its way": after(blockedByThree,
		step{mins, begin(true), "", Probing},
		step{0, begin(false), "", Probing},
		step{mins, begin(false), "", Probing},
	),
	"a healthy path has no probes":                                  {{0, begin(false), "", Healthy}, {0, accept, "", Healthy}, {0, begin(false), "", Healthy}},
	"two good probes lead to recovering, with a pause between them": after(recovering),
	"a second probe must wait for the gap": after(recovering[:5],
		step{14 * sec, begin(false), "", Probing},
		step{sec, begin(true), "", Probing},
	),
	"a refused second probe forgets the good first one": after(recovering[:6],
		step{sec, probeBad, "probing>blocked probe_refused", Blocked},
		step{2 * mins, begin(true), "", Probing},
		step{sec, probeGood, "probing>probing probe_good", Probing},
	),
	"the share doubles each clean window until the path is healthy": after(recovering,
		step{9 * mins, tick, "", Recovering},
		step{mins, tick, "recovering>recovering share_doubled", Recovering},
		step{10 * mins, accept, "recovering>recovering share_doubled", Recovering},
		step{10 * mins, tick, "recovering>recovering share_doubled", Recovering},
		step{10 * mins, tick, "recovering>healthy recovered", Healthy},
		step{sec, refuse, "healthy>suspect first_refusal", Suspect},
	),
	"a long night doubles the share once, not four times": after(recovering,
		step{12 * time.Hour, tick, "recovering>recovering share_doubled", Recovering},
		step{9 * mins, tick, "", Recovering},
	),
	"one refusal while recovering blocks, and the next probe waits longer": after(recovering,
		step{sec, refuse, "recovering>blocked relapse", Blocked},
		step{119 * sec, begin(false), "", Blocked},
		step{sec, begin(true), "", Probing},
	),
	"one deferral while recovering blocks too": after(recovering, step{sec, deferIt, "recovering>blocked relapse", Blocked}),
	"a refusal of an attempt that began before the recovery says nothing": after(recovering,
		step{sec, func(d *desk) []Change {
			ev := d.evidence(ipVerdict, 550, outcome.EndOfData)
			ev.Outcome.Duration = 10 * sec
			return d.Observe(ev)
		}, "", Recovering},
	),
	"stragglers neither move a blocked path nor push its probe away": after(blockedByThree,
		step{30 * sec, times(20, refuse), "", Blocked},
		step{0, times(20, accept), "", Blocked},
		step{30 * sec, begin(true), "", Probing},
		step{0, times(20, refuse), "", Probing},
		step{0, times(20, accept), "", Probing},
		step{0, probeGood, "probing>probing probe_good", Probing},
		step{0, probeGood, "", Probing}, // another recipient of the same probe
	),
	"a probe whose outcome never comes is given up": after(blockedByThree,
		step{mins, begin(true), "", Probing},
		step{14 * mins, tick, "", Probing},
		step{mins, tick, "probing>blocked probe_lost", Blocked},
		step{0, begin(true), "", Probing},
	),
	"a late answer to a probe that was given up still counts": after(blockedByThree,
		step{mins, begin(true), "", Probing},
		step{15 * mins, probeGood, "probing>blocked probe_lost, blocked>probing probe_good", Probing},
	),
	"a late refusal of a probe that was given up still counts": after(blockedByThree,
		step{mins, begin(true), "", Probing},
		step{16 * mins, tick, "probing>blocked probe_lost", Blocked},
		step{sec, probeBad, "blocked>blocked probe_refused", Blocked},
		step{mins, begin(false), "", Blocked},
	),
	"a probe to an unknown user and a known one is as good as its best answer": after(recovering[:4],
		step{sec, answerProbe(userVerdict, 550, outcome.RcptTo), "probing>blocked probe_unclear", Blocked},
		step{0, answerProbe(userVerdict, 550, outcome.RcptTo), "", Blocked},
		step{0, probeGood, "blocked>probing probe_good", Probing},
		step{14 * sec, begin(false), "", Probing},
		step{sec, begin(true), "", Probing},
	),
	"a late answer to a probe from before a block by hand is nothing": after(blockedByThree,
		step{mins, begin(true), "", Probing},
		step{sec, pinned(sec), "probing>blocked pinned", Blocked},
		step{sec, probeGood, "blocked>blocked pin_ended", Blocked},
	),
	"asking for a probe gives up the lost one by itself": after(blockedByThree,
		step{mins, begin(true), "", Probing},
		step{15 * mins, begin(true), "", Probing},
	),
	"a probe to an unknown user got through the door": after(recovering[:4],
		step{sec, answerProbe(verdict("auth_failure", classify.BlameAuthentication), 550, outcome.EndOfData), "probing>probing probe_good", Probing},
		step{15 * sec, begin(true), "", Probing},
		step{sec, answerProbe(verdict("spam_content", classify.BlameContent), 554, outcome.EndOfData), "probing>recovering probes_good", Recovering},
	),
	"an unknown user at RCPT proves nothing where the address was refused at the end of the content": after(recovering[:4],
		step{sec, answerProbe(userVerdict, 550, outcome.RcptTo), "probing>blocked probe_unclear", Blocked},
		step{59 * sec, begin(false), "", Blocked},
		step{sec, begin(true), "", Probing},
	),
	"an unknown user at RCPT proves the address where it was refused at RCPT": {
		{0, times(3, observe(ipVerdict, 550, outcome.RcptTo)), "healthy>suspect first_refusal, suspect>blocked refusals", Blocked},
		{mins, begin(true), "", Probing},
		{sec, answerProbe(userVerdict, 550, outcome.RcptTo), "probing>probing probe_good", Probing},
	},
	"a probe that was not let near the door is unclear": after(recovering[:4],
		step{sec, answerProbe(verdict("network_error", classify.BlameNetwork), 0, outcome.Connect), "probing>blocked probe_unclear", Blocked},
		step{mins, begin(true), "", Probing},
		step{sec, answerProbe(verdict("policy", classify.BlamePolicy), 550, outcome.EndOfData), "probing>blocked probe_unclear", Blocked},
		step{mins, begin(true), "", Probing},
		step{sec, answerProbe(rateVerdict, 421, outcome.EndOfData), "probing>blocked probe_unclear", Blocked},
	),
	"an unclear probe keeps the good one before it": after(recovering[:6],
		step{sec, answerProbe(verdict("network_error", classify.BlameNetwork), 0, outcome.Connect), "probing>blocked probe_unclear", Blocked},
		step{mins, begin(true), "", Probing},
		step{sec, probeGood, "probing>recovering probes_good", Recovering},
	),
	"a probe that could not be sent is given back": after(recovering[:4],
		step{sec, putBack, "probing>blocked probe_released", Blocked},
		step{0, putBack, "", Blocked},
		step{0, begin(true), "", Probing},
	),
	"a rate limit leaves the state alone": {
		{0, times(30, tooFast), "", Healthy},
	},
	"a pin holds against all evidence until it is cleared": {
		{0, pinned(0), "healthy>blocked pinned", Blocked},
		{time.Hour, begin(false), "", Blocked},
		{time.Hour, times(30, accept), "", Blocked},
		{time.Hour, tick, "", Blocked},
		{1000 * time.Hour, times(10, refuse), "", Blocked},
		{sec, unpinned, "blocked>healthy cleared", Healthy},
		{sec, refuse, "healthy>suspect first_refusal", Suspect},
	},
	"a pin that runs out hands the path to its probes": {
		{0, pinned(time.Hour), "healthy>blocked pinned", Blocked},
		{59 * mins, tick, "", Blocked},
		{mins, tick, "blocked>blocked pin_ended", Blocked},
		{0, begin(true), "", Probing},
	},
	"a probe on its way does not lift a pin": after(recovering[:6],
		step{0, pinned(0), "probing>blocked pinned", Blocked},
		step{sec, probeGood, "", Blocked},
	),
	"clearing forgets a run": {
		{0, times(3, refuse), "healthy>suspect first_refusal, suspect>blocked refusals", Blocked},
		{sec, unpinned, "blocked>healthy cleared", Healthy},
		{sec, times(2, refuse), "healthy>suspect first_refusal", Suspect},
	},
	"clearing a healthy path is no change":  {{0, accept, "", Healthy}, {0, unpinned, "", Healthy}},
	"clearing an unknown path is no change": {{0, unpinned, "", Healthy}, {0, putBack, "", Healthy}},
	"a listing blocks at once": {
		{0, times(100, accept), "", Healthy},
		{sec, listed(true, "spamhaus-pbl"), "healthy>blocked standing", Blocked},
		{sec, listed(true, "spamhaus-pbl"), "", Blocked},
	},
	"the end of a listing leads to probes, never to health": {
		{0, listed(true, "spamhaus-pbl"), "healthy>blocked standing", Blocked},
		{5 * mins, begin(false), "", Blocked},
		{sec, listed(false, "spamhaus-pbl"), "blocked>blocked standing_ended", Blocked},
		{59 * sec, begin(false), "", Blocked},
		{sec, begin(true), "", Probing},
		{sec, probeBad, "probing>blocked probe_refused", Blocked},
	},
	"with two listings, both have to end": {
		{0, listed(true, "a"), "healthy>blocked standing", Blocked},
		{0, listed(true, "b"), "blocked>blocked standing", Blocked},
		{0, listed(false, "a"), "", Blocked},
		{0, listed(false, "a"), "", Blocked},
		{0, listed(false, "b"), "blocked>blocked standing_ended", Blocked},
	},
	"while a listing stands, a path is probed every hour: we may be wrong about who uses it": {
		{0, listed(true, "a"), "healthy>blocked standing", Blocked},
		{59 * mins, begin(false), "", Blocked},
		{mins, begin(true), "", Probing},
		{sec, probeBad, "probing>blocked probe_refused", Blocked},
		{59 * mins, begin(false), "", Blocked},
		{mins, begin(true), "", Probing},
		{sec, probeGood, "probing>probing probe_good", Probing},
		{15 * sec, begin(true), "", Probing},
		{sec, probeGood, "probing>recovering probes_good", Recovering},
		{sec, listed(true, "a"), "", Recovering},
		{sec, listed(false, "a"), "", Recovering},
	},
	"the end of a listing starts the waits anew": {
		{0, listed(true, "a"), "healthy>blocked standing", Blocked},
		{time.Hour, begin(true), "", Probing},
		{sec, probeBad, "probing>blocked probe_refused", Blocked},
		{time.Hour, begin(true), "", Probing},
		{sec, probeBad, "probing>blocked probe_refused", Blocked},
		{sec, listed(false, "a"), "blocked>blocked standing_ended", Blocked},
		{mins, begin(true), "", Probing},
		{0, probeBad, "probing>blocked probe_refused", Blocked},
		{2 * mins, begin(true), "", Probing},
	},
	"a path that was healthy again is probed as soon as the first time": after(blockedByThree,
		step{mins, begin(true), "", Probing},
		step{0, probeBad, "probing>blocked probe_refused", Blocked},
		step{2 * mins, begin(true), "", Probing},
		step{0, probeGood, "probing>probing probe_good", Probing},
		step{15 * sec, begin(true), "", Probing},
		step{0, probeGood, "probing>recovering probes_good", Recovering},
		step{10 * mins, tick, "recovering>recovering share_doubled", Recovering},
		step{10 * mins, tick, "recovering>recovering share_doubled", Recovering},
		step{10 * mins, tick, "recovering>recovering share_doubled", Recovering},
		step{10 * mins, tick, "recovering>healthy recovered", Healthy},
		step{sec, times(3, refuse), "healthy>suspect first_refusal, suspect>blocked refusals", Blocked},
		step{mins, begin(true), "", Probing},
	),
	"a short pin is followed by a probe at once": {
		{0, pinned(10 * sec), "healthy>blocked pinned", Blocked},
		{10 * sec, begin(true), "", Probing},
	},
	"the end of an unknown listing is nothing":    {{0, listed(false, "a"), "", Healthy}},
	"a listing does not lift a pin, nor replaces": {{0, pinned(0), "healthy>blocked pinned", Blocked}, {0, listed(true, "a"), "", Blocked}, {0, listed(false, "a"), "", Blocked}},
	"evidence that comes late does not turn the clock back": {
		{0, refuse, "healthy>suspect first_refusal", Suspect},
		{-5 * mins, times(2, refuse), "suspect>blocked refusals", Blocked},
	},
}

func TestStories(t *testing.T) {
	for name, steps := range stories {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, Options{})
			var last time.Time
			for i, s := range steps {
				d.now = d.now.Add(s.in)
				changes := s.do(d)
				if got := told(changes); got != s.changes {
					t.Fatalf("step %d: changes %q, want %q", i+1, got, s.changes)
				}
				if got := d.Path(pathKey.Egress, pathKey.Provider).State; got != s.state {
					t.Fatalf("step %d: %s, want %s", i+1, got, s.state)
				}
				for _, c := range changes {
					if c.At.Before(last) || c.Key != pathKey || len(c.Evidence) > maxTale {
						t.Fatalf("step %d: a change that cannot be: %+v", i+1, c)
					}
					last = c.At
				}
			}
		})
	}
}

func TestEachChangeTellsItsEvidence(t *testing.T) {
	d := newDesk(t, Options{})
	var all []Change
	for range 3 {
		all = append(all, refuse(d)...)
	}
	if len(all) != 2 || len(all[0].Evidence) != 1 || len(all[1].Evidence) != 3 {
		t.Fatalf("changes with evidence: %+v", all)
	}
	d.now = d.now.Add(mins)
	for range 2 {
		d.BeginProbe(pathKey, d.now)
		all = probeGood(d)
		d.now = d.now.Add(15 * sec)
	}
	if n := len(all[0].Evidence); n != 5 || !all[0].Evidence[4].Probe {
		t.Fatalf("recovering with %d pieces of evidence, the last %+v", n, all[0].Evidence[n-1])
	}
	all = refuse(d)
	if len(all) != 1 || len(all[0].Evidence) != 1 {
		t.Errorf("a relapse tells the story from before its fresh start: %+v", all)
	}
	all[0].Evidence[0].MsgID = "changed by its reader"
	if info, _ := d.Get(pathKey, d.now); info.Evidence[len(info.Evidence)-1].MsgID == "changed by its reader" {
		t.Error("a change shares its evidence with the book")
	}
}

func TestEvidenceOfAChattyServerIsCut(t *testing.T) {
	d := newDesk(t, Options{})
	ev := d.evidence(ipVerdict, 550, outcome.EndOfData)
	ev.Outcome.Err = strings.Repeat("e", 5000)
	lines := make([]string, 1000)
	for i := range lines {
		lines[i] = strings.Repeat("x", 5000)
	}
	ev.Outcome.Reply.Lines = lines
	d.Observe(ev)
	info, _ := d.Get(pathKey, d.now)
	kept := info.Evidence[0].Outcome
	if len(kept.Reply.Lines) != maxLines || len(kept.Reply.Lines[0]) != maxLine || len(kept.Err) != maxLine {
		t.Errorf("kept %d lines of %d, %d of trouble", len(kept.Reply.Lines), len(kept.Reply.Lines[0]), len(kept.Err))
	}
	if len(lines[0]) != 5000 {
		t.Error("the caller's lines were cut")
	}
}

func TestAVerdictOnARangeMakesSiblingsSuspect(t *testing.T) {
	addr := netip.MustParseAddr
	d := newDesk(t, Options{Sources: map[string]Source{
		"direct":  {Addrs: []netip.Addr{addr("153.122.1.2")}, Networks: []netip.Prefix{netip.MustParsePrefix("153.122.0.0/17")}},
		"sibling": {Addrs: []netip.Addr{addr("::ffff:153.122.77.3")}},
		"clean":   {Addrs: []netip.Addr{addr("203.0.113.4"), addr("2001:db8::1")}},
	}})
	at := func(egress string) State { return d.Path(egress, "google").State }
	refuse(d)
	if at("sibling") != Healthy {
		t.Error("a refusal of one address reached its sibling")
	}
	ev := d.evidence(netVerdict, 550, outcome.EndOfData)
	if got := told(d.Observe(ev)); got != "healthy>suspect range" {
		t.Errorf("changes: %s", got)
	}
	if at("sibling") != Suspect || at("clean") != Healthy || d.Path("sibling", "yahoo").State != Healthy {
		t.Errorf("sibling %s, clean %s", at("sibling"), at("clean"))
	}
	if info, _ := d.Get(Key{"sibling", "google"}, d.now); len(info.Evidence) != 1 || info.Evidence[0].Key != pathKey || info.Run != 0 {
		t.Errorf("the sibling's doubt: %+v", info)
	}
	if got := told(d.Observe(ev)); got != "" {
		t.Errorf("a second time: %s", got)
	}
	// The reach is not mutual: nobody said that the sibling's /24 is the direct one's network.
	d.Clear(Key{"sibling", "google"}, d.now)
	if d.Observe(d.evidence(netVerdict, 421, outcome.EndOfData)); at("sibling") != Suspect {
		t.Error("a temporary refusal of the range did not reach the sibling")
	}
	ev = d.evidence(netVerdict, 550, outcome.EndOfData)
	ev.Key.Egress = "sibling"
	d.Clear(pathKey, d.now)
	d.now = d.now.Add(sec)
	d.Observe(ev)
	if at("direct") != Healthy {
		t.Errorf("direct is %s", at("direct"))
	}
	d.Configure(Thresholds{}, nil)
	d.now = d.now.Add(time.Hour)
	d.Tick(d.now)
	d.Observe(d.evidence(netVerdict, 550, outcome.EndOfData))
	if at("sibling") != Healthy {
		t.Error("siblings of an old configuration")
	}
}

func TestAListingOfANetworkBlocksTheEgressesInIt(t *testing.T) {
	addr := netip.MustParseAddr
	d := newDesk(t, Options{Sources: map[string]Source{
		"a": {Addrs: []netip.Addr{addr("153.122.1.2")}}, "b": {Addrs: []netip.Addr{addr("153.122.99.2")}}, "c": {Addrs: []netip.Addr{addr("192.0.2.1")}},
	}})
	s := Standing{At: start, Listing: "spamhaus-sbl", Net: netip.MustParsePrefix("153.122.0.0/17"), Providers: []string{"icloud", "google"}, On: true}
	if got := d.SetStanding(s); len(got) != 4 {
		t.Fatalf("changes: %s", told(got))
	}
	for egress, want := range map[string]State{"a": Blocked, "b": Blocked, "c": Healthy} {
		if got := d.Path(egress, "icloud").State; got != want {
			t.Errorf("%s is %s, want %s", egress, got, want)
		}
	}
	if d.Path("a", "yahoo").State != Healthy {
		t.Error("a provider that does not use the list is affected")
	}
	s.On, s.Providers = false, nil
	if got := d.SetStanding(s); len(got) != 4 {
		t.Errorf("the end: %s", told(got))
	}
}

package cli

import (
	"context"
	"encoding/json"
	"net/netip"
	"sync"

	"github.com/spf13/cobra"

	"ukai/internal/dns"
	"ukai/internal/dnsbl"
)

// listedCommand is one call of "ukai listed".
type listedCommand struct {
	*env
	resolver  string
	catalogue string
	all       bool
	selfTest  bool
	own       bool

	cat    *dnsbl.Catalogue
	pipe   *dns.Pipe
	engine *dnsbl.Engine
}

func newListed(e *env) *cobra.Command {
	l := &listedCommand{env: e}
	cmd := e.command("listed [flags] IP|CIDR|DOMAIN...", "cli.listed.", nil, func(cmd *cobra.Command, a []string) error {
		return l.run(cmd, a)
	})
	cmd.Flags().StringVar(&l.resolver, "resolver", "", e.text("cli.listed.flag.resolver"))
	cmd.Flags().StringVar(&l.catalogue, "catalogue", "", e.text("cli.listed.flag.catalogue"))
	cmd.Flags().BoolVar(&l.all, "all", false, e.text("cli.listed.flag.all"))
	cmd.Flags().BoolVar(&l.selfTest, "self-test", false, e.text("cli.listed.flag.self_test"))
	cmd.Flags().BoolVar(&l.own, "own", false, e.text("cli.listed.flag.own"))
	must(cmd.MarkFlagFilename("catalogue", "toml"))
	return cmd
}

func (l *listedCommand) run(cmd *cobra.Command, a []string) error {
	if l.own {
		return l.monitor(cmd, a)
	}
	if len(a) == 0 && !l.selfTest {
		return usage("cli.listed.none", "usage", cmd.UseLine())
	}
	targets, err := parseTargets(a)
	if err != nil {
		return err
	}
	if err := l.open(); err != nil {
		return err
	}
	defer l.pipe.Close()
	if l.selfTest {
		return l.test(cmd.Context())
	}
	for _, t := range targets {
		if len(l.cat.For(t.Kind(), l.all)) == 0 {
			return usage("cli.listed.no_lists", "target", t.String())
		}
	}
	return l.look(cmd.Context(), targets)
}

// parseTargets reads all arguments; every mistake is told at once.
func parseTargets(a []string) ([]dnsbl.Target, error) {
	var targets []dnsbl.Target
	for _, s := range a {
		t, err := dnsbl.ParseTarget(s)
		if err != nil {
			return nil, asUsage(err)
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// asUsage makes what is wrong with an argument or a file that it names a usageError.
func asUsage(err error) error { return &exitError{exitUsage, err} }

// open loads the catalogue and opens the way to the resolver.
func (l *listedCommand) open() error {
	var err error
	if l.catalogue == "" {
		l.cat, err = dnsbl.Load()
	} else {
		l.cat, err = dnsbl.LoadFile(l.catalogue)
	}
	if err != nil {
		return asUsage(err)
	}
	server := l.resolver
	if server == "" {
		if c, problems := l.load(); len(problems) == 0 && len(c.DNS.Servers) > 0 {
			server = c.DNS.Servers[0]
		}
	}
	if l.pipe, err = dns.NewPipe(dns.PipeOptions{Server: server}); err != nil {
		if l.resolver == "" {
			return err
		}
		return usage("cli.listed.resolver", "value", l.resolver)
	}
	return nil
}

// look asks about all targets, several at a time, and tells what was found in the order of the arguments.
func (l *listedCommand) look(ctx context.Context, targets []dnsbl.Target) error {
	line := l.progress()
	defer line.done()
	l.engine = dnsbl.New(l.cat, l.pipe, dnsbl.Options{Now: l.now, Progress: func(done, total int) {
		line.update(l.text("cli.listed.progress", "done", done, "total", total))
	}})
	out := &listedOutput{listedCommand: l, json: json.NewEncoder(l.out)}
	out.json.SetEscapeHTML(false)
	found := make([]chan dnsbl.Finding, len(targets))
	for i := range found {
		found[i] = make(chan dnsbl.Finding, 1)
	}
	const together = 8
	slots := make(chan struct{}, together)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i, t := range targets {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				found[i] <- l.engine.Look(ctx, dnsbl.Question{Target: t, Within: within(t, targets), All: l.all, Each: out.each(t)})
			})
		}
	})
	var all []dnsbl.Finding
	for i := range targets {
		f := <-found[i]
		out.finding(&f)
		all = append(all, f)
	}
	wg.Wait()
	line.done()
	return out.end(all)
}

// within finds the narrowest range among the arguments that an address lies in: that is the range it belongs to.
func within(t dnsbl.Target, targets []dnsbl.Target) netip.Prefix {
	var best netip.Prefix
	for _, other := range targets {
		if r := other.Range; r.IsValid() && t.IP.IsValid() && r.Contains(t.IP) && (!best.IsValid() || r.Bits() > best.Bits()) {
			best = r
		}
	}
	return best
}

// listedOutput writes findings, as JSON lines or for people.
type listedOutput struct {
	*listedCommand
	mu   sync.Mutex // guards json: sweeps tell their answers while they run
	json *json.Encoder
	err  error
}

// answerLine is what is said about one target on one list.
type answerLine struct {
	Target   string         `json:"target"`
	List     string         `json:"list"`
	Zone     string         `json:"zone"`
	State    dnsbl.State    `json:"state"`
	Code     string         `json:"code"`
	Codes    []string       `json:"codes,omitempty"`
	Meaning  string         `json:"meaning"`
	Scope    dnsbl.Scope    `json:"scope"`
	Severity dnsbl.Severity `json:"severity"`
	Reason   string         `json:"reason"`
	Why      dnsbl.Why      `json:"why,omitempty"`
	TTL      int            `json:"ttl,omitempty"` // seconds
	Asked    int            `json:"asked,omitempty"`
	Hits     int            `json:"listed,omitempty"`
	Delist   string         `json:"delist,omitempty"`
}

func lineOf(a *dnsbl.Answer) answerLine {
	l := answerLine{
		Target: a.Target.String(), List: a.List.ID, Zone: a.List.Shown(), State: a.State, Meaning: a.Meaning, Scope: a.Scope,
		Severity: a.Severity, Reason: a.Reason, Why: a.Why, TTL: int(a.TTL.Seconds()), Asked: a.Asked, Hits: a.Hits,
	}
	if a.Code.IsValid() {
		l.Code = a.Code.String()
	}
	if len(a.Codes) > 1 {
		for _, c := range a.Codes {
			l.Codes = append(l.Codes, c.String())
		}
	}
	if a.State == dnsbl.Listed {
		l.Delist = a.List.Delist.URL
	}
	return l
}

// closing is the last object of a run.
type closing struct {
	Verdict  dnsbl.Verdict    `json:"verdict"`
	Evidence []dnsbl.Evidence `json:"evidence"`
	Queries  int              `json:"queries"`
	Tests    int              `json:"tests"`
	Targets  []targetLine     `json:"targets"`
}

type targetLine struct {
	Target   string           `json:"target"`
	Verdict  dnsbl.Verdict    `json:"verdict"`
	Evidence []dnsbl.Evidence `json:"evidence"`
}

func (o *listedOutput) write(v any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.json.Encode(v); err != nil && o.err == nil {
		o.err = err
	}
}

// each returns what tells the single answers of a range, of those that are listed, or of all.
func (o *listedOutput) each(t dnsbl.Target) func(dnsbl.Answer) {
	if !o.env.json || !t.Range.IsValid() {
		return nil
	}
	return func(a dnsbl.Answer) {
		if o.all || a.State != dnsbl.Clean {
			o.write(lineOf(&a))
		}
	}
}

func (o *listedOutput) finding(f *dnsbl.Finding) {
	if !o.env.json {
		o.tell(f)
		return
	}
	for i := range f.Answers {
		o.write(lineOf(&f.Answers[i]))
	}
}

// end says what it all comes to, and chooses the exit code.
func (o *listedOutput) end(all []dnsbl.Finding) error {
	c := closing{Verdict: dnsbl.VerdictClean, Evidence: []dnsbl.Evidence{}}
	c.Queries, c.Tests = o.engine.Count()
	listed, unknown := false, false
	for i := range all {
		f := &all[i]
		c.Verdict = dnsbl.Worst([]dnsbl.Verdict{c.Verdict, f.Verdict})
		c.Evidence = append(c.Evidence, f.Evidence...)
		c.Targets = append(c.Targets, targetLine{f.Target.String(), f.Verdict, f.Evidence})
		listed = listed || f.Listed()
		unknown = unknown || f.Verdict == dnsbl.Unknown
	}
	if o.env.json {
		o.write(c)
	} else {
		o.foot(c)
	}
	switch {
	case o.err != nil:
		return o.err
	case listed:
		return errFound
	case unknown:
		return unknownListing
	}
	return nil
}

// unknownListing ends a run in which it was not found out whether something is listed.
var unknownListing = &exitError{code: exitUnknown}

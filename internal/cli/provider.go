package cli

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"ukai/internal/dns"
	"ukai/internal/mail"
	"ukai/internal/provider"
)

// How it is known where the mail of a domain goes; each has a text cli.provider.state.*.
const (
	byMX       = "mx"        // by its MX records
	byDomain   = "implicit"  // by its own address: there is no MX record (RFC 5321, section 5.1)
	byGiven    = "given"     // by --mx, without asking
	byHost     = "host"      // a receiving host was asked about, no domain
	byCatalog  = "catalogue" // the DNS did not answer; the catalogue lists the domain itself
	nullMX     = "null_mx"   // it takes no mail (RFC 7505)
	noAddress  = "no_address"
	noDomain   = "no_domain"
	lookupFail = "failed"
	badName    = "bad_name"
)

// receiver is who receives for one domain, or why nobody does.
type receiver struct {
	Asked    string      `json:"asked"` // as it was given
	Domain   string      `json:"domain"`
	State    string      `json:"state"` // see byMX and the others
	MX       []exchange  `json:"mx,omitempty"`
	Provider provider.ID `json:"provider"`
	Name     string      `json:"name"`
	Why      string      `json:"why,omitempty"` // in words
	// Gateway: the mailboxes lie behind somebody else. Placeholder: the MX is only a reserved name.
	Gateway     bool   `json:"gateway,omitempty"`
	Placeholder bool   `json:"placeholder,omitempty"`
	Trouble     string `json:"error,omitempty"` // what the DNS said
	Facts       *facts `json:"facts,omitempty"`
	// Limits are those that ukai keeps to.
	Limits *limits `json:"limits,omitempty"`
	row    *provider.Row
	limits provider.Limits
}

type exchange struct {
	Host string `json:"host"`
	Pref uint16 `json:"preference"`
}

// inquiry answers who receives.
type inquiry struct {
	*env
	catalogue *provider.Catalogue
	resolver  dns.Resolver
	mx        []string // --mx
}

func newProvider(e *env) *cobra.Command {
	var server string
	var mx []string
	var all bool
	cmd := e.command("provider DOMAIN...", "cli.provider.", args(0, -1), func(cmd *cobra.Command, asked []string) error {
		if len(asked) == 0 && len(mx) == 0 {
			return usage("cli.usage.args_few", "usage", cmd.UseLine())
		}
		q, done, err := e.inquiry(server, mx)
		if err != nil {
			return err
		}
		defer done()
		return q.run(cmd.Context(), asked, all)
	})
	cmd.Flags().StringVar(&server, "resolver", "", e.text("cli.provider.flag.resolver"))
	cmd.Flags().StringSliceVar(&mx, "mx", nil, e.text("cli.provider.flag.mx"))
	cmd.Flags().BoolVar(&all, "all", false, e.text("cli.provider.flag.all"))
	return cmd
}

// inquiry makes what answers: with the name servers given, else those of the settings, else those of this machine.
func (e *env) inquiry(server string, mx []string) (*inquiry, func(), error) {
	c, err := e.knowledge()
	if err != nil {
		return nil, nil, err
	}
	var o dns.Options
	file := ""
	if c != nil {
		o.Servers, o.Timeout, file = c.DNS.Servers, c.DNS.Timeout, c.Provider.File
	}
	if server != "" {
		o.Servers = []string{server}
	}
	catalogue, err := e.catalogue(file)
	if err != nil {
		return nil, nil, err
	}
	client, err := dns.New(o)
	if err != nil {
		return nil, nil, usage("cli.provider.resolver", "server", server, "cause", err)
	}
	return &inquiry{env: e, catalogue: catalogue, resolver: client, mx: mx}, client.Close, nil
}

// run answers all questions and shows the answers: one in full, several as a table.
func (q *inquiry) run(ctx context.Context, asked []string, all bool) error {
	if len(asked) == 0 {
		asked = q.mx[:1]
	}
	found := make([]*receiver, 0, len(asked))
	code := exitDone
	for _, a := range asked {
		r := q.find(ctx, a)
		found = append(found, r)
		switch r.State {
		case lookupFail:
			code = exitUnknown
		case noDomain, badName, noAddress:
			if code == exitDone {
				code = exitFailed
			}
		}
	}
	var value any = found
	if len(found) == 1 {
		value = found[0]
	}
	if err := q.show(value, func(w io.Writer) { q.showAll(w, found, all) }); err != nil {
		return err
	}
	if code != exitDone {
		return &exitError{code: code}
	}
	return nil
}

// domainIn returns the domain in what a person may give: a domain, an address, a literal, with blanks, angle brackets, a dot at
// the end. ok is false for what holds none.
func domainIn(asked string) (domain string, ok bool) {
	s := strings.TrimSuffix(strings.Trim(strings.TrimSpace(asked), "<>"), ".")
	if strings.Contains(s, "@") {
		s = mail.Domain(s)
	}
	literal := strings.Trim(s, "[]")
	if n := len("IPv6:"); len(literal) > n && strings.EqualFold(literal[:n], "IPv6:") { // RFC 5321, section 4.1.3
		literal = literal[n:]
	}
	if ip, err := netip.ParseAddr(literal); err == nil {
		return "[" + ip.String() + "]", true
	}
	name, err := dns.ASCII(s)
	return name, err == nil && name != ""
}

// find answers one question.
func (q *inquiry) find(ctx context.Context, asked string) *receiver {
	domain, ok := domainIn(asked)
	r := &receiver{Asked: asked, Domain: domain, State: badName}
	switch {
	case !ok:
		r.Domain = ""
		return r
	case len(q.mx) > 0:
		r.State = byGiven
		for i, h := range q.mx {
			r.MX = append(r.MX, exchange{h, uint16(min(i, 65535))})
		}
		q.name(r, q.catalogue.ByMX(q.mx))
	case strings.HasPrefix(domain, "["):
		r.State = byHost
		q.name(r, q.catalogue.ByHost(domain))
	default:
		q.ask(ctx, r)
	}
	return r
}

// ask asks the DNS.
func (q *inquiry) ask(ctx context.Context, r *receiver) {
	d, err := dns.NewFinder(q.resolver, dns.FinderOptions{}).Find(ctx, r.Domain)
	if err == nil && d.Implicit {
		_, err = q.resolver.Addrs(ctx, r.Domain)
		if host := q.catalogue.ByHost(r.Domain); host.Row != nil || err != nil {
			q.noMX(r, host, err)
			return
		}
		r.State = byDomain
	}
	if err != nil {
		q.failed(r, err)
		return
	}
	if r.State != byDomain {
		r.State = byMX
	}
	for _, m := range d.MX {
		r.MX = append(r.MX, exchange{m.Host, m.Pref})
	}
	q.name(r, q.catalogue.ByMX(d.Names))
}

// noMX is for a name without MX records: a receiving host that the catalogue knows, or a name to which nothing can be sent.
func (q *inquiry) noMX(r *receiver, host provider.Match, err error) {
	var e *dns.Error
	switch {
	case host.Row != nil:
		r.State = byHost
		q.name(r, host)
	case errors.As(err, &e) && e.NotFound:
		r.State, r.Trouble = noAddress, err.Error()
	default:
		q.failed(r, err)
	}
}

// failed says why nobody receives, or what is known although the DNS did not answer.
func (q *inquiry) failed(r *receiver, err error) {
	r.Trouble, r.State = err.Error(), lookupFail
	var e *dns.Error
	switch {
	case !errors.As(err, &e):
	case e.Status == "5.1.10":
		r.State = nullMX
	case e.NotFound:
		if host := q.catalogue.ByHost(r.Domain); host.Row != nil { // names of hosts may be answered by nobody else than their owner
			r.State = byHost
			q.name(r, host)
			return
		}
		r.State = noDomain
	default:
		if m, ok := q.catalogue.ByDomain(r.Domain); ok {
			r.State = byCatalog
			q.name(r, m)
		}
	}
}

// name fills in what is known of a provider.
func (q *inquiry) name(r *receiver, m provider.Match) {
	r.Provider, r.Name, r.Gateway, r.Placeholder, r.row = m.ID, m.ID, m.Gateway, m.Placeholder, m.Row
	r.Why = q.text(string(m.Why), m.Args()...)
	if m.Row != nil {
		r.Name, r.Facts = m.Row.Name, factsOf(m.Row, q.catalogue.AsOf)
	}
	if m.ID != "" && !m.Placeholder {
		r.limits = q.catalogue.Limits(m.ID)
		r.Limits = &limits{r.limits.MaxConns, r.limits.MaxMsgsPerConn, r.limits.PerSecond, r.limits.Basis, r.limits.Published}
	}
}

package explain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/provider"
)

// Kind says what a text is.
type Kind string

// The kinds. The names of the last three are also classes of package classify.
const (
	Reply     Kind = "reply"           // what a server said, pasted with or without the words around it
	LogLine   Kind = "log_line"        // a line of a mail server's log
	Report    Kind = "report"          // a delivery report, of failure, delay or success
	Complaint Kind = "feedback_report" // a person called a mail spam (ARF, RFC 5965)
	AutoReply Kind = "auto_reply"      // a machine answered, nothing failed
	Ordinary  Kind = "not_bounce"      // a mail that reports nothing
)

// Explainer finds out what texts mean. It is immutable and safe for concurrent use.
type Explainer struct {
	Rules     *classify.Rules
	Providers *provider.Catalogue
}

// New returns an Explainer that judges by rules and knows the providers of a catalogue.
func New(rules *classify.Rules, providers *provider.Catalogue) *Explainer {
	return &Explainer{Rules: rules, Providers: providers}
}

// Finding is what one text, or what a report says of one recipient, means. Its strings own their memory.
type Finding struct {
	Kind Kind
	// Inbound is set for a line that tells what our own server refused to take: then the trouble is the client's.
	Inbound bool
	Text    string // the reason, as it was found, on one line
	// Sender is the address, or only the domain, that the refused mail came from; empty where the text does not say.
	Sender    string
	Recipient string
	Host      string // the server that refused; for an inbound refusal the client
	// Provider is the mailbox provider that said it: known from the host, the recipient's domain, or words that betray it.
	Provider     provider.ID
	ProviderName string      // its name for people; the ID where the catalogue has none
	Phase        string      // step of the dialogue as in outcome.Phase; empty where the text does not say
	Code         int         // 0: no reply code was found
	Status       mail.Status // zero: none was found
	Verdict      classify.Verdict
	Source       string   // where the rule that matched has its knowledge from
	Skipped      []string // what was not looked at, and why, in English
}

// MarshalJSON makes the flat object that programs get. Every field that a verdict has is there, empty or not.
func (f Finding) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // replies are full of angle brackets
	if err := enc.Encode(f.object()); err != nil {
		return nil, fmt.Errorf("write a finding: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// object is the form of a Finding for programs.
type object struct {
	Class       string         `json:"class"`
	Blame       classify.Blame `json:"blame"`
	Scope       classify.Scope `json:"scope"`
	DetourHelps bool           `json:"detour_helps"`
	Retry       bool           `json:"retry"` // trying the same way again later makes sense
	Provider    provider.ID    `json:"provider"`
	List        string         `json:"list"`
	IP          string         `json:"ip"`
	URL         string         `json:"url"`
	Rule        string         `json:"rule"`
	Code        string         `json:"code"` // the provider's own: S3140, TSS04, ...

	objectSource
}

// objectSource is what was read, as against what it means.
type objectSource struct {
	Kind      Kind     `json:"kind"`
	Inbound   bool     `json:"inbound,omitempty"`
	ReplyCode int      `json:"reply_code,omitempty"`
	Status    string   `json:"status,omitempty"`
	Phase     string   `json:"phase,omitempty"`
	Host      string   `json:"host,omitempty"`
	Sender    string   `json:"sender,omitempty"`
	Recipient string   `json:"recipient,omitempty"`
	Text      string   `json:"text"`
	Source    string   `json:"rule_source,omitempty"`
	Skipped   []string `json:"skipped,omitempty"`
}

func (f *Finding) object() object {
	v := &f.Verdict
	return object{
		Class: v.Class, Blame: v.Blame, Scope: v.Scope, DetourHelps: v.Detour, Retry: v.Action == classify.Retry,
		Provider: f.Provider, List: v.List, IP: addr(v.IP), URL: v.URL, Rule: v.Rule, Code: v.Code,
		objectSource: objectSource{
			Kind: f.Kind, Inbound: f.Inbound, ReplyCode: f.Code, Status: f.Status.String(), Phase: f.Phase, Host: f.Host,
			Sender: f.Sender, Recipient: f.Recipient, Text: f.Text, Source: f.Source, Skipped: f.Skipped,
		},
	}
}

// addr is the text of an address, empty for none.
func addr(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}

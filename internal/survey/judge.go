package survey

import (
	"hash/maphash"
	"strings"

	"ukai/internal/classify"
	"ukai/internal/maillog"
	"ukai/internal/outcome"
)

// A refusal is repeated a million times with another queue number, address and time in it. The judge looks at what stays the
// same and remembers the verdict; one text in sampled is judged all the same, because the address and the link in it matter.
const (
	maxVerdicts = 8192 // texts that are remembered; above it all are forgotten, so that a flood of different ones costs time only
	sampled     = 64
)

// known is the verdict on a text, and how often it was asked for.
type known struct {
	verdict classify.Verdict
	asked   int
}

// judge finds the verdict on events.
type judge struct {
	rules   *classify.Rules
	seed    maphash.Seed
	cache   map[uint64]*known
	outcome outcome.Outcome // used again for each event
}

// of returns the verdict on an event; fresh tells that it was made from this very text. who is the provider, if it is one of
// the catalogue.
func (j *judge) of(e *maillog.Event, who string) (v *classify.Verdict, fresh bool) {
	key := j.key(e, who)
	k := j.cache[key]
	if k == nil {
		if len(j.cache) >= maxVerdicts {
			clear(j.cache)
		}
		k = &known{}
		j.cache[key] = k
	}
	k.asked++
	if k.asked > sampled && k.asked%sampled != 0 {
		return &k.verdict, false
	}
	k.verdict = j.judge(e, who)
	return &k.verdict, true
}

func (j *judge) judge(e *maillog.Event, who string) classify.Verdict {
	if e.Reply.Code == 0 {
		return j.rules.Text(who, e.Text)
	}
	j.outcome = outcome.Outcome{At: e.At, Phase: e.Phase, Reply: e.Reply, Provider: who, Host: e.Relay, Remote: e.Remote}
	return j.rules.Classify(&j.outcome)
}

// key is the same for texts that differ in numbers and names only.
func (j *judge) key(e *maillog.Event, who string) uint64 {
	h := mix(maphash.String(j.seed, who), uint64(e.Phase)|uint64(e.Kind)<<8|uint64(e.Reply.Code)<<16)
	if e.Reply.Code != 0 && len(e.Reply.Lines) > 0 {
		for _, line := range e.Reply.Lines {
			h = hashWords(h, line, e)
		}
		return h
	}
	return hashWords(h, e.Text, e)
}

// prime is that of the hash FNV-1a, which is quick on short words. It begins at a random place each time.
const prime = 1099511628211

func mix(h, x uint64) uint64 { return (h ^ x) * prime }

// wordEnd divides a text for the key.
var wordEnd = func() (ends [256]bool) {
	for c := range ends {
		ends[c] = c <= ' ' || strings.IndexByte("<>[]()\"',;=", byte(c)) >= 0
	}
	return ends
}()

// hashWords adds the words of a text that say something, at most 1,000 octets of it.
func hashWords(h uint64, s string, e *maillog.Event) uint64 {
	s = s[:min(len(s), 1000)]
	seed := h
	for i := 0; i < len(s); {
		for i < len(s) && wordEnd[s[i]] {
			i++
		}
		from, digits, at, dots, word := i, 0, false, 0, seed
		for i < len(s) && !wordEnd[s[i]] {
			c := s[i]
			switch {
			case c-'0' <= 9:
				digits++
			case c == '@':
				at = true
			case c == '.':
				dots++
			}
			word = mix(word, uint64(c))
			i++
		}
		w := s[from:i]
		if w == "" || at || digits > 0 && !code(w, digits, dots) || dots > 0 && digits == 0 && ours(w, e) {
			continue
		}
		h = mix(h, word) ^ h>>29
	}
	return h
}

// code tells whether a word with digits means something: a reply code, an enhanced code ("5.7.26", perhaps with the reply code
// before it), or a provider's own ("S3140", "TSS04").
func code(w string, digits, dots int) bool {
	switch {
	case digits == len(w):
		return len(w) == 3
	case dots == 2 && w[0]-'0' <= 9:
		return len(w) <= 12
	case dots > 0:
		return false
	}
	return len(w) <= 6 && w[0] >= 'A' && w[0] <= 'Z'
}

// ours tells whether a word is a name that belongs to this message: its domain, or the host it went to.
func ours(w string, e *maillog.Event) bool {
	return len(w) > 3 && (e.Relay != "" && strings.EqualFold(w, e.Relay) || hasDomain(e.To, w) || hasDomain(e.From, w))
}

func hasDomain(addr, domain string) bool {
	return len(addr) > len(domain) && strings.EqualFold(addr[len(addr)-len(domain):], domain)
}

// speaker returns the provider whose words a text is made of, or "".
func (j *judge) speaker(e *maillog.Event) string {
	if e.Reply.Code == 0 {
		return ""
	}
	return j.rules.Speaker(e.Text)
}

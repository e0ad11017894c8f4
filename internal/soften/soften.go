// Package soften writes what ukai knows about refusals as tables that Postfix reads by itself.
//
// Postfix bounces a message when a server refuses it with 5xx, and tries other ways when it says 4xx. A refusal for the address
// that mail comes from should be of the second kind: from another address the message would be taken. Postfix can be told so by
// two tables of patterns (regexp_table(5); they are built in, need no daemon and cannot fail while mail flows):
//
//   - Reply is for smtp_reply_filter. It sees each line of a reply while the attempt lasts and turns 550 5.7.1 into 450 4.7.1, so
//     that Postfix goes on to smtp_fallback_relay in the same attempt.
//   - Status is for smtp_delivery_status_filter. It sees the whole reply on one line when the attempt is over, and turns the
//     bounce into a deferral. It is the second net.
//
// # Which rules are in the tables
//
// Rules are asked in order and the first one that fits wins: "550 5.7.1 message blocked, your ip ..." may be about content by a
// rule that stands before the one about addresses. The tables hold the same order: the rules that are a reason for a detour, and
// those before them that keep a refusal from them, because it is their example that would be softened, or because they are
// about the sender's domain, which is one word apart. Such a rule says "as it was", and no rule behind it is asked. What a table
// softens in spite of all that is judged a second time by ukai, which knows all rules and the whole reply.
//
// # What a single line cannot tell
//
// Of a reply in several lines, Postfix takes the code from the last one, and the filter sees it alone. Often the reason stands in
// a line before. Then the last line of the rule's example is looked for, if it has a URL in it that no other rule's example has.
// The refusal of 2019 is such a case; it also is the one place where a wrong reply is softened: Gmail ends a refusal for the
// reputation of the sender's domain with the same line. Such a message makes one more attempt, over ukai, and bounces there. To
// leave the line out would bounce every message that is refused for the address.
//
// A rule that asks for the phase can only be followed by Status. Those are about greetings, which Postfix takes for temporary
// anyhow (postconf(5), smtp_skip_5xx_greeting).
//
// # What it costs
//
// Each process of smtp(8) reads the tables when it starts, in some 0.03 s each, and keeps 12 MB for each of what regcomp(3) of
// glibc makes of them. A refusal is judged in about 0.3 ms, any other line in a microsecond. Where Postfix has pcre, the same
// files can be read as "pcre:" and take a fraction of that.
package soften

import (
	"crypto/sha256"
	"fmt"

	"ukai/internal/classify"
)

// Reply returns the table for smtp_reply_filter.
func Reply(rules *classify.Rules) []byte {
	t := &table{rules: rules, kind: reply}
	// RFC 5321, section 4.2.1: a blank behind the code, or nothing, makes it the last line.
	t.open("^5[0-9][0-9] .")
	t.tails()
	t.all()
	t.close()
	return t.file("smtp_reply_filter", "--reply")
}

// Status returns the table for smtp_delivery_status_filter.
func Status(rules *classify.Rules) []byte {
	t := &table{rules: rules, kind: status}
	// smtp(8) words refusals so: "host NAME[ADDRESS] said: REPLY (in reply to COMMAND command)", and, before the first command,
	// "host NAME[ADDRESS] refused to talk to me: REPLY".
	t.open("^5[.0-9]+ host [^ ]+ (said|refused to talk to me): 5[0-9][0-9]")
	t.all()
	t.close()
	return t.file("smtp_delivery_status_filter", "--status")
}

// file puts the head before the table.
func (t *table) file(setting, flag string) []byte {
	sum := sha256.Sum256(t.out.Bytes())
	head := fmt.Sprintf(`# For %s of Postfix (regexp_table(5)). Written by ukai; it is not meant to be edited.
#
# A mail that is refused for the address it comes from is taken for deferred, not for lost: another way out may be open.
# All other refusals stay as they are. Comments are the names of the rules: "ukai rules show NAME" explains one.
#
# Made from %d rules, fingerprint %x.
# To make it again: ukai rules postfix %s
`, setting, t.rules.Len(), sum[:6], flag)
	return append([]byte(head), t.out.Bytes()...)
}

package intake

import (
	"slices"

	"ukai/internal/mail"
)

// attribute holds what a report says to the recipients of its message. A token is known to everybody who got the message, so that
// none of them may speak for the recipients of another; and a report often names an address that ukai never sent to, because
// the recipient's own server forwards, or none at all. Then the delivery tells, if it had one recipient.
func (r *Report) attribute() {
	if r.Reading == nil {
		return
	}
	sole := r.sole()
	for i := range r.Reading.Results {
		res := &r.Reading.Results[i]
		switch {
		case r.has(res.Recipient):
		case r.has(res.Given):
			res.Recipient, res.Given = res.Given, res.Recipient
		default:
			res.Recipient = sole
		}
	}
}

func (r *Report) has(addr string) bool {
	return addr != "" && slices.ContainsFunc(r.Recipients, func(s string) bool { return fold(s) == fold(addr) })
}

// sole returns the recipient of the delivery, if it had only one. Deliveries are numbered by recipient domain, in the order in
// which the domains stand in the envelope.
func (r *Report) sole() string {
	var domains, found []string
	for _, addr := range r.Recipients {
		d := mail.Domain(addr)
		n := slices.Index(domains, d)
		if n < 0 {
			n = len(domains)
			domains = append(domains, d)
		}
		if n == r.Group {
			found = append(found, addr)
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

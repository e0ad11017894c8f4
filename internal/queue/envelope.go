package queue

import (
	"encoding/binary"
	"net/netip"
	"time"

	"ukai/internal/mail"
)

// envelopeVersion is the first octet of an encoded envelope. A field is added at the end under a new version; decodeEnvelope
// reads all earlier ones.
const envelopeVersion = 1

const (
	envEightBit = 1 << iota
	envUTF8
	envRequireTLS
)

// appendEnvelope appends an envelope without its ID: version, flags, class, times and sizes, then texts with their lengths.
func appendEnvelope(b []byte, env *mail.Envelope) []byte {
	var flags byte
	if env.EightBit {
		flags |= envEightBit
	}
	if env.UTF8 {
		flags |= envUTF8
	}
	if env.RequireTLS {
		flags |= envRequireTLS
	}
	b = append(b, envelopeVersion, flags, byte(env.Class))
	b = binary.AppendVarint(b, env.Accepted.UnixMilli())
	b = binary.AppendUvarint(b, uint64(env.Size))
	b = appendAddr(b, env.Client)
	for _, s := range [...]string{env.From, env.Ret, env.EnvID, env.Helo, env.Account, env.MessageID, env.FromHdr} {
		b = appendText(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(env.Recipients)))
	for i := range env.Recipients {
		r := &env.Recipients[i]
		b = append(b, byte(r.Notify))
		b = appendText(b, r.Addr)
		b = appendText(b, r.ORcpt)
	}
	b = binary.AppendUvarint(b, uint64(len(env.DKIM)))
	for _, d := range env.DKIM {
		b = appendText(b, d)
	}
	return b
}

// appendAddr appends an address as text of its binary form: empty, 4 or 16 octets, with the zone behind the latter.
func appendAddr(b []byte, a netip.Addr) []byte {
	at := len(b)
	b = append(b, 0)
	b, _ = a.AppendBinary(b) // has no error to give
	if n := len(b) - at - 1; n < 0x80 {
		b[at] = byte(n)
		return b
	}
	return append(b[:at], 0) // a zone of more than 100 octets is no interface's name
}

func decodeEnvelope(cur *cursor) (*mail.Envelope, error) {
	if cur.octet() != envelopeVersion {
		return nil, errMeta
	}
	flags := cur.octet()
	env := &mail.Envelope{
		EightBit: flags&envEightBit != 0, UTF8: flags&envUTF8 != 0, RequireTLS: flags&envRequireTLS != 0,
		Class: mail.Class(cur.octet()),
	}
	env.Accepted = time.UnixMilli(cur.varint()).UTC()
	env.Size = int64(cur.uvarint())
	if err := env.Client.UnmarshalBinary([]byte(cur.text())); err != nil {
		return nil, errMeta
	}
	for _, s := range [...]*string{&env.From, &env.Ret, &env.EnvID, &env.Helo, &env.Account, &env.MessageID, &env.FromHdr} {
		*s = cur.text()
	}
	if n := cur.count(); n > 0 {
		env.Recipients = make([]mail.Recipient, 0, min(n, 1024))
		for range n {
			env.Recipients = append(env.Recipients, mail.Recipient{Notify: mail.Notify(cur.octet()), Addr: cur.text(), ORcpt: cur.text()})
			if cur.bad {
				break
			}
		}
	}
	if n := cur.count(); n > 0 {
		for range n {
			if env.DKIM = append(env.DKIM, cur.text()); cur.bad {
				break
			}
		}
	}
	if cur.bad {
		return nil, errMeta
	}
	return env, nil
}

// group is the recipients of a message in one recipient domain: what becomes a delivery.
type group struct {
	domain string
	rcpts  []int
}

// groups returns the deliveries of an envelope. The nth recipient domain is the nth that occurs: the order never changes,
// because Key.N stands for it on disk.
func groups(env *mail.Envelope) []group {
	if len(env.Recipients) == 1 {
		return []group{{mail.Domain(env.Recipients[0].Addr), []int{0}}}
	}
	var gs []group
	at := make(map[string]int)
	for i := range env.Recipients {
		d := mail.Domain(env.Recipients[i].Addr)
		n, ok := at[d]
		if !ok {
			n = len(gs)
			at[d] = n
			gs = append(gs, group{domain: d})
		}
		gs[n].rcpts = append(gs[n].rcpts, i)
	}
	return gs
}

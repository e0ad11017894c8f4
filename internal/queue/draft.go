package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"ukai/internal/mail"
)

// chunkSize is the piece in which content is gathered in memory: most messages fit into one.
const chunkSize = 16 << 10

var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// maxDeliveries is how many recipient domains a message may have: a delivery's number has 16 bits.
const maxDeliveries = 1 << 16

// errDraft is returned by a draft that was committed or aborted.
var errDraft = errors.New("the draft has ended")

// draft is a message being taken in. Content is gathered in memory up to Options.inline octets, then in a file.
type draft struct {
	e     *Embedded
	env   *mail.Envelope
	parts []*[chunkSize]byte
	n     int // octets in parts
	file  *bigFile
	err   error // of a write; Commit returns it too
	ended bool
}

// Create implements Store.
func (e *Embedded) Create(env *mail.Envelope) (Draft, error) {
	if err := e.health.check(); err != nil {
		return nil, err
	}
	if len(env.Recipients) == 0 {
		return nil, errors.New("create message: no recipients")
	}
	if err := e.reserve(0); err != nil {
		return nil, err
	}
	env.ID = e.ids.Next(e.opts.Now())
	env.Accepted = env.ID.Time().UTC()
	return &draft{e: e, env: env}, nil
}

// Write implements io.Writer.
func (d *draft) Write(p []byte) (int, error) {
	switch {
	case d.ended:
		return 0, errDraft
	case d.err != nil:
		return 0, d.err
	}
	for written := 0; written < len(p); {
		if d.n >= d.e.opts.inline {
			if d.err = d.spill(); d.err != nil {
				return written, d.err
			}
		}
		if d.n == len(d.parts)*chunkSize {
			d.parts = append(d.parts, chunks.Get().(*[chunkSize]byte))
		}
		part := d.parts[d.n/chunkSize][d.n%chunkSize:]
		k := copy(part[:min(len(part), d.e.opts.inline-d.n)], p[written:])
		d.n += k
		written += k
	}
	return len(p), nil
}

// pieces appends what is gathered in memory to bufs.
func (d *draft) pieces(bufs [][]byte) [][]byte {
	for i, part := range d.parts {
		if n := min(d.n-i*chunkSize, chunkSize); n > 0 {
			bufs = append(bufs, part[:n])
		}
	}
	return bufs
}

// spill moves what is gathered in memory into the file.
func (d *draft) spill() error {
	if err := d.e.reserve(int64(d.n)); err != nil {
		return err
	}
	if d.file == nil {
		f, err := createBig(d.e.disk, d.env.ID)
		if err != nil {
			return d.e.diskError(err)
		}
		d.file = f
	}
	if err := d.file.write(d.pieces(nil)); err != nil {
		return d.e.diskError(err)
	}
	d.n = 0
	return nil
}

// Commit implements Draft. A message larger than Options.inline is on the disk, file and name, before the record that names
// it is written. Once the record is queued, ctx is not looked at: whether the message is in can then only be told by the disk.
func (d *draft) Commit(ctx context.Context, head []byte) error {
	if d.ended {
		return errDraft
	}
	defer d.Abort()
	if d.err != nil {
		return d.err
	}
	gs := groups(d.env)
	if len(gs) > maxDeliveries {
		return fmt.Errorf("commit message: %d recipient domains", len(gs))
	}
	if err := d.finishFile(); err != nil {
		return err
	}
	en := d.record(head, gs)
	if err := d.enqueue(ctx, en); err != nil {
		return err
	}
	d.file = nil // it belongs to the message
	en.recycle()
	return nil
}

func (d *draft) enqueue(ctx context.Context, en *entry) error {
	if err := d.e.health.check(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.e.reserve(en.size()); err != nil {
		return err
	}
	err := d.e.writer.wait(en)
	if errors.Is(err, ErrFull) {
		d.e.noRoom()
	}
	return err
}

// finishFile makes the file of a large content durable.
func (d *draft) finishFile() error {
	if d.file == nil {
		return nil
	}
	if err := d.spill(); err != nil {
		return err
	}
	if err := d.file.finish(); err != nil {
		return d.e.diskError(err)
	}
	return nil
}

// record makes the record of the message.
func (d *draft) record(head []byte, gs []group) *entry {
	en := newEntry(kindAdd, Key{ID: d.env.ID})
	en.warm = &warm{env: d.env, groups: gs, left: len(gs)}
	var c content
	d.env.Size = int64(len(head) + d.n)
	if len(head) > 0 {
		en.body = append(en.body, head)
	}
	if d.file != nil {
		c = content{big: true, size: d.file.size, crc: d.file.crc}
		d.env.Size += c.size
		en.big = c.size
	}
	en.body = d.pieces(en.body)
	en.buf = appendAdd(en.buf, d.env, c)
	return en.seal()
}

// Abort implements Draft.
func (d *draft) Abort() {
	d.ended = true
	for i, part := range d.parts {
		chunks.Put(part)
		d.parts[i] = nil
	}
	d.parts, d.n = nil, 0
	if d.file != nil {
		// After a disk error nobody knows whether the record that names the file is on the disk: the next start looks.
		d.file.abort(d.e.health.broken.Load() == nil)
		d.file = nil
	}
}

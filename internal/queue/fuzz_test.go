package queue

import (
	"bytes"
	"io"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"ukai/internal/mail"
)

func sampleEnvelope() *mail.Envelope {
	return &mail.Envelope{
		ID: 1<<60 | 7, Accepted: time.UnixMilli(1555300800123).UTC(), From: "büro@example.org", Size: 12345,
		Recipients: []mail.Recipient{{Addr: "a@one.example", Notify: mail.NotifyFailure, ORcpt: "rfc822;b@two.example"}, {Addr: "postmaster"}},
		EightBit:   true, UTF8: true, RequireTLS: true, Ret: "FULL", EnvID: "x y", Client: netip.MustParseAddr("fe80::1%eth0"),
		Helo: "h", Account: "a", MessageID: "m@x", FromHdr: "example.org", Class: mail.Bulk, DKIM: []string{"example.org", "d"},
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add(appendAdd(nil, sampleEnvelope(), content{}))
	f.Add(appendAdd(nil, sampleEnvelope(), content{big: true, size: 1 << 40, crc: 5}))
	f.Add(appendAdd(nil, &mail.Envelope{}, content{}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		env, c, err := decodeAdd(b)
		if err != nil {
			return
		}
		again, c2, err := decodeAdd(appendAdd(nil, env, c))
		if err != nil || !reflect.DeepEqual(again, env) || c != c2 {
			t.Errorf("%+v %+v came back as %+v %+v, %v", env, c, again, c2, err)
		}
		n := 0
		for _, g := range groups(env) {
			n += len(g.rcpts)
		}
		if n != len(env.Recipients) {
			t.Errorf("%d of %d recipients are in a delivery", n, len(env.Recipients))
		}
	})
}

func FuzzState(f *testing.F) {
	k := Key{1<<60 | 7, 3}
	due := time.UnixMilli(1555300800123).UTC()
	f.Add(appendState(nil, k, &state{closed: true}))
	f.Add(appendState(nil, k, &state{all: true, DeliveryState: DeliveryState{Attempts: 2, Due: due, Tag: "t", Last: "l"}}))
	f.Add(appendState(nil, k, &state{open: []int{0, 5, 900}, DeliveryState: DeliveryState{Held: true, Warned: true, Due: due}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, s, err := decodeState(b)
		if err != nil {
			return
		}
		k2, s2, err := decodeState(appendState(nil, k, s))
		if err != nil || k != k2 || !reflect.DeepEqual(s, s2) {
			t.Errorf("%v %+v came back as %v %+v, %v", k, s, k2, s2, err)
		}
	})
}

func FuzzDone(f *testing.F) {
	f.Add(appendDone(nil, 1<<60|7, span{3, 0}))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, in, err := decodeDone(b)
		if err != nil {
			return
		}
		if id2, in2, err := decodeDone(appendDone(nil, id, in)); err != nil || id != id2 || in != in2 {
			t.Errorf("%v %v came back as %v %v, %v", id, in, id2, in2, err)
		}
	})
}

func FuzzRow(f *testing.F) {
	r := row{id: 9, at: pos{3, 32}, size: 1000, big: 5, dels: []rowDelivery{
		{domain: "one.example"}, {domain: "", at: pos{4, 64}, size: 7, due: -5, held: true, tag: "t"}, {domain: "x", at: pos{9, 9}, closed: true},
	}}
	f.Add(uint64(9), r.encode(nil))
	f.Fuzz(func(t *testing.T, id uint64, b []byte) {
		var r row
		sealed := b
		if len(b) > 4 { // the checksum would stop nearly everything
			sealed = append(b[:len(b)-4:len(b)-4], 0, 0, 0, 0)
			le := checksum(uint32(id), sealed[:len(b)-4])
			sealed[len(b)-4], sealed[len(b)-3], sealed[len(b)-2], sealed[len(b)-1] = byte(le), byte(le>>8), byte(le>>16), byte(le>>24)
		}
		if r.decode(mail.ID(id), sealed) != nil {
			return
		}
		var again row
		if err := again.decode(mail.ID(id), r.encode(nil)); err != nil || again.at != r.at || len(again.dels) != len(r.dels) {
			t.Errorf("%+v came back as %+v, %v", r, again, err)
		}
	})
}

// FuzzSegment reads a segment that holds anything: the scanner comes to its end, and what it finds lies in order.
func FuzzSegment(f *testing.F) {
	s := &segment{no: 1, salt: 0x5a17, tombs: make(map[span]int)}
	valid := s.start()
	for _, e := range []*entry{
		stateEntry(Key{ID: 5}, &state{closed: true}), doneEntry(5, span{1, 1}, 0), newEntry(kindMark, Key{}).seal(),
	} {
		e.encode(e.buf, s.stamp(int64(len(valid))))
		valid = append(append(valid, e.buf...), make([]byte, int(e.size())-len(e.buf))...)
	}
	f.Add(valid)
	f.Add(valid[:len(valid)-9])
	f.Add(append(bytes.Clone(valid[:60]), valid...))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newFaultDisk()
		s := &segment{no: 1, salt: 0x5a17, size: int64(len(b))}
		d.names[s.name()] = &inode{data: b}
		h := &handles{disk: d, max: 4}
		for _, bodies := range []bool{false, true} {
			sc := newScanner(h, s, 0, s.size, bodies)
			at := int64(segmentStart)
			for {
				f, err := sc.next()
				if err != nil {
					t.Fatal(err)
				}
				if f == nil {
					break
				}
				if int64(f.at.off) != at || f.size <= 0 {
					t.Fatalf("found %+v at %d", f, at)
				}
				at += f.size
			}
			if at < s.size && s.size > segmentStart {
				t.Errorf("stopped at %d of %d", at, s.size)
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	h := header{kind: kindAdd, flags: flagGroup, metaLen: 7, metaCRC: 8, bodyLen: 9, bodyCRC: 10}
	b := make([]byte, headerSize)
	h.encode(b, 77<<32|5)
	f.Add(b, uint64(77<<32|5))
	f.Fuzz(func(t *testing.T, b []byte, at uint64) {
		h, ok := decodeHeader(b, stamp(at))
		if !ok {
			return
		}
		again := make([]byte, headerSize)
		h.encode(again, stamp(at))
		if h2, ok := decodeHeader(again, stamp(at)); !ok || h2 != h {
			t.Errorf("%+v came back as %+v, %v", h, h2, ok)
		}
	})
}

func TestABitThatFlipsAnywhereInARecordIsSeen(t *testing.T) {
	r := newRig(t)
	id := r.commit(300)
	name, off, size := r.place(id)
	for at := off; at < off+size; at++ {
		r.disk.spoil(name, at)
		r.mu.Lock()
		s := r.book.segs[1]
		r.mu.Unlock()
		_, buf, err := r.handles.record(s, pos{1, uint32(off)}, size, kindAdd)
		inPadding := at >= off+headerSize+int64(len(r.metaOf(id)))+300
		if (err == nil) != inPadding {
			t.Fatalf("octet %d of %d changed: %v", at-off, size, err)
		}
		if err == nil {
			putBuffer(buf)
		}
		r.disk.spoil(name, at)
	}
	if text, err := r.content(id); err != nil || text != body(300) {
		t.Errorf("at the end: %d octets, %v", len(text), err)
	}
}

func (r *rig) metaOf(id mail.ID) []byte {
	r.t.Helper()
	m, err := r.Get(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return appendAdd(nil, m.Envelope, content{})
}

func TestAContentInMemoryReadsLikeAnyOther(t *testing.T) {
	r := newRig(t)
	id := r.commit(5000)
	open := func() io.ReadCloser {
		c, err := r.Open(id)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := open()
	var b bytes.Buffer
	if n, err := io.Copy(&b, c); err != nil || n != 5000 || b.String() != body(5000) { // by WriteTo
		t.Errorf("copied %d, %v", n, err)
	}
	if n, err := io.Copy(&b, c); n != 0 || err != nil {
		t.Errorf("copied %d more, %v", n, err)
	}
	c.Close()
	if _, err := io.Copy(&b, c); err == nil {
		t.Error("a closed content was copied")
	}
	c = open()
	defer c.Close()
	half := make([]byte, 2500)
	if _, err := io.ReadFull(c, half); err != nil {
		t.Fatal(err)
	}
	if n, err := c.(io.WriterTo).WriteTo(io.Discard); n != 2500 || err != nil {
		t.Errorf("the rest: %d, %v", n, err)
	}
}

package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"ukai/internal/mail"
)

// Nothing unreadable is deleted. What is left of a message goes into a file under aside/:
//
//   - ID.eml: the envelope in lines "X-Ukai-...", then the content as far as it can be read. It can be looked at with any mail
//     program, and submitted again when it is whole;
//   - ID.raw, SEGMENT-OFFSET.raw: the octets of the log where not even the envelope could be read;
//   - ID.big: a large content whose envelope was lost.
//
// Then the message is done for the queue.
const (
	emlSuffix  = ".eml"
	rawSuffix  = ".raw"
	lostSuffix = ".big"
)

// aside knows what was set aside.
type aside struct {
	disk disk

	mu    sync.Mutex // guards the fields below; a leaf
	files map[string]bool
	ids   map[mail.ID]bool
}

// load looks at what earlier runs left.
func (a *aside) load() error {
	infos, err := a.disk.List(asideDir)
	if err != nil {
		return err
	}
	a.files, a.ids = make(map[string]bool), make(map[mail.ID]bool)
	for _, info := range infos {
		if !strings.HasSuffix(info.name, partSuffix) {
			a.noteLocked(info.name)
		}
	}
	return nil
}

func (a *aside) noteLocked(name string) {
	a.files[name] = true
	stem, _, _ := strings.Cut(name, ".")
	if id, err := mail.ParseID(stem); err == nil {
		a.ids[id] = true
	}
}

func (a *aside) has(id mail.ID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ids[id]
}

func (a *aside) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.files)
}

func (a *aside) hasFile(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.files[name]
}

// write makes a file durable; content beyond head is copied from rest as far as it can be read.
func (a *aside) write(name string, head []byte, rest io.ReaderAt) error {
	if a.hasFile(name) {
		return nil
	}
	path := asideDir + "/" + name
	if err := a.disk.Remove(path + partSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := a.disk.Create(path + partSuffix)
	if err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	err = fillAside(f, head, rest)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	return a.move(path+partSuffix, name)
}

func fillAside(f file, head []byte, rest io.ReaderAt) error {
	if _, err := f.WriteAt(head, 0); err != nil {
		return err
	}
	off := int64(len(head))
	buf := make([]byte, 64<<10)
	for from := int64(0); rest != nil; {
		n, rerr := rest.ReadAt(buf, from)
		if _, err := f.WriteAt(buf[:n], off); err != nil {
			return err
		}
		from, off = from+int64(n), off+int64(n)
		if rerr != nil { // the end, or as far as it can be read
			break
		}
	}
	if err := f.Sync(); err != nil {
		return broken{err}
	}
	return nil
}

// move takes a file into aside/ under a name.
func (a *aside) move(path, name string) error {
	if err := a.disk.Rename(path, asideDir+"/"+name); err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	if err := a.disk.SyncDir(asideDir); err != nil {
		return broken{err}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.noteLocked(name)
	return nil
}

// letter returns the lines that stand above a content that was set aside.
func letter(env *mail.Envelope, why string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "X-Ukai-Set-Aside: %s\r\nX-Ukai-ID: %s\r\nX-Ukai-Accepted: %s\r\nX-Ukai-From: <%s>\r\n",
		why, env.ID, env.Accepted.Format("2006-01-02T15:04:05Z07:00"), env.From)
	for i := range env.Recipients {
		fmt.Fprintf(&b, "X-Ukai-To: <%s>\r\n", env.Recipients[i].Addr)
	}
	fmt.Fprintf(&b, "X-Ukai-Size: %d\r\n", env.Size)
	return b.Bytes()
}

// unreadable answers an error of reading a message: one that is damaged is set aside and ErrSetAside returned. Other errors
// are the disk's, and come back as they are.
func (e *Embedded) unreadable(id mail.ID, err error) error {
	if !errors.Is(err, errDamaged) {
		return err
	}
	e.mu.Lock()
	_, m := e.book.find(id)
	if m == nil {
		e.mu.Unlock()
		return e.missing(id)
	}
	if m.flags&messageAside != 0 { // somebody else is at it
		e.mu.Unlock()
		return ErrSetAside
	}
	m.flags |= messageAside
	at, size, s := m.at, int64(m.size), e.book.segs[m.at.seg]
	s.pin()
	e.mu.Unlock()
	err = e.keep(id, s, at, size)
	s.unpin()
	return e.kept(id, err)
}

// kept ends the setting aside of a message.
func (e *Embedded) kept(id mail.ID, err error) error {
	var b broken
	if errors.As(err, &b) {
		e.fail(err)
		return e.health.check()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i, m := e.book.find(id)
	if m == nil {
		return ErrSetAside // done meanwhile
	}
	if err != nil {
		e.log.Error("an unreadable message cannot be set aside", "msg_id", id, "err", err)
		m.flags &^= messageAside
		return err
	}
	e.log.Error("an unreadable message was set aside: look at its file under "+asideDir+"/ in the queue's directory", "msg_id", id)
	if err := e.buryLocked(i); err != nil {
		return err
	}
	return ErrSetAside
}

// keep writes what can be read of a message into a file under aside/.
func (e *Embedded) keep(id mail.ID, s *segment, at pos, size int64) error {
	buf := make([]byte, size)
	n, err := e.handles.read(s, buf, int64(at.off))
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	buf = buf[:n]
	hd, ok := decodeHeader(buf, s.stamp(int64(at.off)))
	if !ok || headerSize+int(hd.metaLen) > len(buf) {
		return e.keepRaw(id, buf)
	}
	meta := buf[headerSize:][:hd.metaLen]
	body := buf[headerSize+len(meta):]
	body = body[:min(len(body), int(hd.bodyLen))]
	env, c, err := decodeAdd(meta)
	if err != nil || checksum(0, meta) != hd.metaCRC || env.ID != id {
		return e.keepRaw(id, buf)
	}
	why := "its content is damaged"
	if !c.big && len(body) == int(hd.bodyLen) && checksum(0, body) == hd.bodyCRC {
		why = "the record of who has received it is damaged"
	}
	return e.keepLetter(env, c, body, why)
}

func (e *Embedded) keepLetter(env *mail.Envelope, c content, body []byte, why string) error {
	head := append(letter(env, why), body...)
	if !c.big {
		return e.aside.write(env.ID.String()+emlSuffix, head, nil)
	}
	f, err := e.disk.Open(bigName(env.ID), false)
	if errors.Is(err, os.ErrNotExist) {
		return e.aside.write(env.ID.String()+emlSuffix, head, nil)
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return e.aside.write(env.ID.String()+emlSuffix, head, f)
}

// keepRaw keeps the octets of a record, and what the index knows of the message above them.
func (e *Embedded) keepRaw(id mail.ID, raw []byte) error {
	sender, recipients := e.index.texts(context.Background(), id)
	head := fmt.Appendf(nil, "X-Ukai-Set-Aside: its envelope is damaged; the octets of the record follow\r\nX-Ukai-ID: %s\r\n", id)
	if recipients != "" {
		head = fmt.Appendf(head, "X-Ukai-From: <%s>\r\n", sender)
		for r := range strings.FieldsSeq(recipients) {
			head = fmt.Appendf(head, "X-Ukai-To: <%s>\r\n", r)
		}
	}
	head = append(head, "\r\n"...)
	if _, big := e.bigOf(id); big {
		if err := e.aside.move(bigName(id), id.String()+lostSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return e.aside.write(id.String()+rawSuffix, append(head, raw...), nil)
}

func (e *Embedded) bigOf(id mail.ID) (int64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	size, ok := e.book.big[id]
	return size, ok
}

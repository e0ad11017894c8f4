package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"ukai/internal/explain"
	"ukai/internal/i18n"
)

// item is one line of a batch.
type item struct {
	ID   any    `json:"id"`
	Kind string `json:"kind"` // smtp_response, log_line, dsn_file; anything else: whatever it looks like
	Text string `json:"text"`
	File string `json:"file"` // relative to the folder of the batch
}

// trouble is what is written for a line that cannot be answered.
type trouble struct {
	ID    any    `json:"id,omitempty"`
	Line  int    `json:"line"`
	Error string `json:"error"`
}

// maxItem bounds one line of a batch, in octets.
const maxItem = 64 << 20

// batch answers each line of a file with a line, in the same order and as they come. A line that cannot be answered does not
// keep the others from it; the end is then a failure.
func (e *env) batch(x *explain.Explainer, name string) error {
	in, folder := e.in, "."
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return i18n.Errorf("cli.explain.read", "file", name, "cause", err)
		}
		defer f.Close()
		in, folder = f, filepath.Dir(name)
	}
	root, err := os.OpenRoot(folder) // a file named in a line cannot lead out of it
	if err != nil {
		return i18n.Errorf("cli.explain.read", "file", folder, "cause", err)
	}
	defer func() { _ = root.Close() }() // read only: nothing can be lost
	b := &batch{env: e, x: x, root: root, in: bufio.NewReaderSize(in, 1<<16), out: bufio.NewWriter(e.out), progress: e.progress()}
	defer b.progress.done()
	if err := b.run(); err != nil {
		return err
	}
	b.progress.done()
	if b.bad > 0 {
		e.printf("%s\n", e.text("cli.explain.batch_bad", "bad", b.bad, "lines", b.items))
		return errFound
	}
	return nil
}

// batch is a batch under way.
type batch struct {
	*env
	x          *explain.Explainer
	root       *os.Root
	in         *bufio.Reader
	out        *bufio.Writer
	progress   *progress
	lines      int // read so far
	items, bad int // answered, and those of them with an error
}

func (b *batch) run() error {
	for {
		line, err := b.next()
		if len(bytes.TrimSpace(line)) > 0 {
			if werr := b.write(line, err); werr != nil {
				return werr
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return b.flush()
		case err != nil && !errors.Is(err, errTooLong):
			return i18n.Errorf("cli.explain.read", "file", b.text("cli.explain.batch_file"), "cause", err)
		}
		if b.lines%200 == 0 {
			b.progress.update(b.text("cli.explain.progress", "lines", strconv.Itoa(b.lines)))
		}
		if b.in.Buffered() == 0 { // whoever feeds line by line gets an answer line by line
			if err := b.flush(); err != nil {
				return err
			}
		}
	}
}

func (b *batch) flush() error {
	if err := b.out.Flush(); err != nil {
		return fmt.Errorf("write the answers: %w", err)
	}
	return nil
}

// errTooLong is a line above maxItem; the reader stands behind it.
var errTooLong = errors.New("the line is too long")

// next returns the next line with io.EOF for the last one. Of a line that is too long it returns the beginning.
func (b *batch) next() ([]byte, error) {
	b.lines++
	var line []byte
	long := false
	for {
		part, err := b.in.ReadSlice('\n')
		if len(line)+len(part) > maxItem {
			long = true
		} else {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long {
			line = line[:min(len(line), 100)]
			if err == nil {
				err = errTooLong
			}
		}
		return line, err
	}
}

// write answers one line.
func (b *batch) write(line []byte, rerr error) error {
	b.items++
	var it item
	err := errTooLong
	if !errors.Is(rerr, errTooLong) {
		err = json.Unmarshal(line, &it)
	}
	var out []byte
	if err == nil {
		var found []explain.Finding
		if found, err = b.judge(&it); err == nil {
			out, err = flat(&found[0], extras{ID: it.ID, Others: found[1:]})
		}
	}
	if err != nil {
		b.bad++
		if out, err = json.Marshal(trouble{it.ID, b.lines, b.reason(err)}); err != nil {
			return fmt.Errorf("write an error: %w", err)
		}
	}
	if _, err := b.out.Write(append(out, '\n')); err != nil {
		return fmt.Errorf("write an answer: %w", err)
	}
	return nil
}

// reason puts the trouble with a line into words.
func (b *batch) reason(err error) string {
	var own *i18n.Error
	switch {
	case errors.As(err, &own):
		return own.Text(b.lang)
	case errors.Is(err, errTooLong):
		return b.text("cli.explain.batch_long", "size", octets(maxItem))
	}
	return b.text("cli.explain.batch_json", "cause", err)
}

// judge finds out what one item means.
func (b *batch) judge(it *item) ([]explain.Finding, error) {
	data := []byte(it.Text)
	if it.File != "" {
		var err error
		if data, err = b.read(it.File); err != nil {
			return nil, err
		}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, i18n.Errorf("cli.explain.batch_empty")
	}
	switch it.Kind {
	case "smtp_response":
		return []explain.Finding{b.x.Reply("", string(data))}, nil
	case "log_line":
		return b.x.Line(data), nil
	case "dsn_file":
		if found := b.x.Mail(data); found[0].Kind != explain.Ordinary {
			return found, nil
		}
	}
	return b.x.Any(data), nil
}

// read returns a file that lies in the folder of the batch, at most maxExplain of it.
func (b *batch) read(name string) ([]byte, error) {
	f, err := b.root.Open(name)
	if err != nil {
		return nil, i18n.Errorf("cli.explain.read", "file", name, "cause", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxExplain))
	if err != nil {
		return nil, i18n.Errorf("cli.explain.read", "file", name, "cause", err)
	}
	return data, nil
}

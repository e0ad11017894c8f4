package qmail

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"ukai/internal/outcome"
)

// evidenceWait is how long telling ukai of what happened may take, with all that belongs to it.
const evidenceWait = 100 * time.Millisecond

// maxAnswer bounds an answer of the listener.
const maxAnswer = 10000

var errNetstring = errors.New("no netstring came")

// ask puts one question to the live listener, in netstrings both ways, and returns its answer.
func ask(ctx context.Context, address, question string, wait time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	c, err := dial(ctx, address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if end, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(end)
	}
	if _, err := io.WriteString(c, netstring(question)); err != nil {
		return "", err
	}
	return readNetstring(bufio.NewReader(c))
}

func netstring(s string) string { return strconv.Itoa(len(s)) + ":" + s + "," }

func readNetstring(r *bufio.Reader) (string, error) {
	n := 0
	for {
		c, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		if c == ':' {
			break
		}
		if c < '0' || c > '9' {
			return "", errNetstring
		}
		if n = n*10 + int(c-'0'); n > maxAnswer {
			return "", errNetstring
		}
	}
	b := make([]byte, n+1)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", err
	}
	if b[n] != ',' {
		return "", errNetstring
	}
	return string(b[:n]), nil
}

// observed is what ukai is told of one recipient: the outcome with whom it is about (Told in package steer).
type observed struct {
	Outcome   outcome.Outcome `json:"outcome"`
	Recipient string          `json:"recipient"`
	Sender    string          `json:"sender"`
}

// tell lets ukai know what the original met. It does not matter what ukai says to that, and it may not take long: mail must not
// be late because somebody keeps books.
func (d *delivery) tell(ctx context.Context) {
	if d.settings.Live == "" || len(d.seen) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, evidenceWait)
	defer cancel()
	c, err := dial(ctx, d.settings.Live)
	if err != nil {
		return
	}
	defer c.Close()
	if end, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(end)
	}
	answers := bufio.NewReader(c)
	for i := range d.seen {
		b, err := json.Marshal(&d.seen[i])
		if err != nil {
			continue
		}
		if _, err := io.WriteString(c, netstring(fmt.Sprintf("observe %s %s %s", d.settings.Server, d.settings.Secret, b))); err != nil {
			return
		}
		if _, err := readNetstring(answers); err != nil { // a connection that is closed before could take the rest along
			return
		}
	}
}

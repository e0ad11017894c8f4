package peersim

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"
)

// begin prepares for the content; ok is false when a reply said no.
func (s *session) begin() (ok bool, err error) {
	if !s.tx.open || len(s.tx.rcpts) == 0 {
		s.say("503 5.5.1 RCPT first")
		return false, nil
	}
	keep := s.p.w.opts.Keep
	if s.p.script.Load().content {
		keep = max(keep, maxKept)
	}
	s.content.reset(keep)
	refused, err := s.judge(Data)
	return !refused && err == nil, err
}

func (s *session) cmdData() error {
	if s.tx.bdat {
		s.complain("DATA behind BDAT")
		s.say("503 5.5.1 Not behind BDAT") // RFC 3030, section 3
		return nil
	}
	ok, err := s.begin()
	if err != nil || !ok {
		if !ok && s.tx.open {
			s.reset()
		}
		return err
	}
	s.say("354 Go on")
	if s.br.Buffered() > 0 { // RFC 2920, section 3.1: DATA must be the last of a group
		s.complain("commands or content behind DATA before the reply")
	}
	if err := s.flush(); err != nil {
		return err
	}
	s.conn.SetReadDeadline(time.Now().Add(idleTime))
	if err := s.readData(); err != nil {
		return err
	}
	return s.delivered()
}

// readData reads up to the line with a single dot (RFC 5321, section 4.1.1.4), and no other: a dot between bare LFs is content.
func (s *session) readData() error {
	start, length := true, 0 // at the start of a line; length of the line so far
	cr := false              // the piece before ended with CR
	for {
		line, err := s.br.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		whole := err == nil
		if start && whole && string(line) == ".\r\n" {
			return nil
		}
		length += len(line)
		ended := whole && endsWithCRLF(line, cr)
		s.checkLine(line, whole && !ended, length)
		if start && line[0] == '.' {
			line = line[1:]
		}
		s.content.write(line)
		cr = len(line) > 0 && line[len(line)-1] == '\r'
		if start = ended; whole {
			length = 0
		}
	}
}

// endsWithCRLF tells whether a line that ends with LF has its CR; cr tells that the piece of it before ended with one.
func endsWithCRLF(line []byte, cr bool) bool {
	if len(line) > 1 {
		return line[len(line)-2] == '\r'
	}
	return cr
}

// checkLine complains about what may not be in a line, or the piece of one.
func (s *session) checkLine(line []byte, bareLF bool, length int) {
	if bareLF {
		s.complain("a bare LF in the content")
	}
	if line[len(line)-1] == '\n' && length > maxTextLine {
		s.complain("a line of %d octets", length)
	}
	if i := bytes.IndexByte(line, '\r'); i >= 0 && i+1 < len(line) && line[i+1] != '\n' {
		s.complain("a bare CR in the content")
	}
	s.checkEight(line)
}

// checkEight complains once per message about octets that were not announced (RFC 6152, section 3).
func (s *session) checkEight(p []byte) {
	if s.tx.eight || s.tx.utf8 {
		return
	}
	if !asciiBytes(p) {
		s.complain("8-bit content without BODY=8BITMIME")
		s.tx.eight = true
	}
}

// asciiBytes looks at eight octets at a time: this runs over all mail of a rehearsal.
func asciiBytes(p []byte) bool {
	for len(p) >= 8 {
		if binary.LittleEndian.Uint64(p)&0x8080808080808080 != 0 {
			return false
		}
		p = p[8:]
	}
	for _, c := range p {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// cmdBdat takes a chunk (RFC 3030, section 2).
func (s *session) cmdBdat(rest []byte) error {
	size, word, _ := strings.Cut(string(rest), " ")
	n, err := strconv.ParseInt(size, 10, 64)
	last := strings.EqualFold(strings.TrimSpace(word), "LAST")
	if err != nil || n < 0 || word != "" && !last || !s.p.offers("CHUNKING") {
		s.complain("BDAT %q", rest)
		s.say("501 5.5.4 BDAT size [LAST] is expected")
		return errEnd // how much content follows is not known
	}
	if !s.tx.bdat {
		ok, err := s.begin()
		if err != nil {
			return err
		}
		if !ok { // the content comes all the same: it is read and dropped, its reply is given already
			s.reset()
			return s.readChunk(n, false)
		}
		s.tx.bdat = true
	}
	if err := s.readChunk(n, true); err != nil {
		return err
	}
	if !last {
		s.say("250 2.0.0 " + size + " octets")
		return nil
	}
	return s.delivered()
}

func (s *session) readChunk(n int64, keep bool) error {
	for n > 0 {
		if s.br.Buffered() == 0 {
			if err := s.flush(); err != nil {
				return err
			}
			s.conn.SetReadDeadline(time.Now().Add(idleTime))
		}
		if _, err := s.br.Peek(1); err != nil {
			return err
		}
		p, err := s.br.Peek(int(min(n, int64(s.br.Buffered()))))
		if err != nil {
			return err
		}
		if keep {
			s.checkEight(p)
			s.content.write(p)
		}
		n -= int64(len(p))
		if _, err := s.br.Discard(len(p)); err != nil {
			return err
		}
	}
	return nil
}

// delivered decides on the message and answers.
func (s *session) delivered() error {
	s.content.end()
	defer s.reset()
	if s.content.size > s.p.conf.MaxSize {
		s.say("552 5.3.4 Message too big")
		return nil
	}
	if refused, err := s.judge(EndOfData); refused || err != nil {
		return err
	}
	s.note(EndOfData, "", 250)
	s.say("250 2.0.0 Ok, kept")
	return nil
}

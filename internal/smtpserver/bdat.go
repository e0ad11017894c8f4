package smtpserver

import (
	"bytes"
	"time"

	"ukai/internal/mail"
)

// bdat takes one chunk of a content by its length (RFC 3030). A client may send chunk behind chunk without waiting, so a chunk is
// always read, whatever is thought of it.
func (s *session) bdat(arg []byte) error {
	size, last, ok := parseBdat(arg)
	if !ok {
		s.say(replyBdatSyntax)
		return s.dismiss(replyLostTrack)
	}
	wrong := ""
	switch {
	case s.tx.failed:
		wrong = replyChunkFailed
	case !s.tx.chunked:
		wrong = s.noContentYet()
	}
	if wrong != "" {
		if err := s.skipChunk(size); err != nil {
			return err
		}
		if last {
			s.reset()
		}
		return s.mistake(wrong)
	}
	if !s.tx.chunked {
		content, refusal := s.begin()
		if content == nil {
			return s.refuseChunks(refusal, size, last)
		}
		s.tx.chunked = true
		s.tx.content.start(content, s.opts.MaxSize, s.opts.MaxLine)
	}
	return s.takeChunk(size, last)
}

// parseBdat reads "size [LAST]".
func parseBdat(arg []byte) (size int64, last, ok bool) {
	number, word, more := bytes.Cut(arg, []byte(" "))
	size, ok = parseSize(number)
	if more {
		last = bytes.EqualFold(bytes.TrimLeft(word, " "), []byte("LAST"))
		ok = ok && last
	}
	return size, last, ok
}

// takeChunk reads a chunk into the content.
func (s *session) takeChunk(size int64, last bool) error {
	scan := &s.tx.content
	if err := s.readChunk(scan, size); err != nil {
		return err
	}
	switch {
	case last:
		scan.finishChunks()
		return s.settle()
	case scan.broken != noBreach:
		s.tx.failed = true // settled with the last chunk or RSET
		s.say(scan.reply())
	default:
		s.say(replyChunkOK)
	}
	return nil
}

// refuseChunks passes on the refusal of a content at its first chunk. More of them may be on their way: until RSET or the last one
// they are read and refused.
func (s *session) refuseChunks(refusal *mail.Reply, size int64, last bool) error {
	if err := s.skipChunk(size); err != nil {
		return err
	}
	if last {
		s.reset()
	} else {
		s.tx.chunked, s.tx.failed = true, true
	}
	return s.tell(refusal)
}

// skipChunk reads a chunk that nobody wants.
func (s *session) skipChunk(size int64) error {
	var nowhere scanner
	nowhere.start(nil, s.opts.MaxSize, s.opts.MaxLine)
	nowhere.broken = tooBig // what the client is told if it does not end
	return s.readChunk(&nowhere, size)
}

func (s *session) readChunk(scan *scanner, size int64) error {
	w, started := s.wire, time.Now()
	for left := size; ; {
		b := w.in[w.r:w.w]
		if int64(len(b)) > left {
			b = b[:left]
		}
		scan.chunk(b)
		w.r += len(b)
		if left -= int64(len(b)); left == 0 {
			return nil
		}
		if err := s.moreContent(scan, started, size-left); err != nil {
			return err
		}
	}
}

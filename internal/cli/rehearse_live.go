package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"ukai/internal/health"
	"ukai/internal/rehearse"
)

// tale shows a rehearsal while it is played: what happens as lines that stay, and on a terminal, below them, one line per
// provider that is written over. With --json and no terminal it shows nothing.
type tale struct {
	e      *env
	s      *rehearse.Scenario
	live   bool // on a terminal
	silent bool

	mu    sync.Mutex // guards the fields below and the order of writes
	lines int        // of the board on the screen
	board rehearse.Board
}

func (e *env) newStory(s *rehearse.Scenario) *tale {
	live := terminal(e.err)
	return &tale{e: e, s: s, live: live, silent: e.json && !live}
}

// begin says what is played.
func (t *tale) begin() {
	if t.silent {
		return
	}
	t.e.printf("%s\n\n%s\n\n", t.s.Title.In(t.e.lang), t.s.About.In(t.e.lang))
}

// tell shows what happens. It fits rehearse.Options.Tell.
func (t *tale) tell(x rehearse.Entry) {
	if t.silent {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wipeLocked()
	t.e.printf("%s  %s\n", x.At, x.Text)
	t.drawLocked()
}

// watch shows how things stand. It fits rehearse.Options.Watch.
func (t *tale) watch(b rehearse.Board) {
	if !t.live {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wipeLocked()
	t.board = b
	t.drawLocked()
}

// done takes the board away.
func (t *tale) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wipeLocked()
	t.live = false
	t.board = rehearse.Board{}
}

// wipeLocked takes the board off the screen: up to its first line and clear from there.
func (t *tale) wipeLocked() {
	if t.lines > 0 {
		t.e.printf("\x1b[%dA\r\x1b[J", t.lines)
		t.lines = 0
	}
}

func (t *tale) drawLocked() {
	if !t.live || len(t.board.Rows) == 0 {
		return
	}
	tab := &table{indent: "  "}
	for i := range t.board.Rows {
		r := &t.board.Rows[i]
		tab.row(mark(r.State)+" "+r.Label, t.e.text("health.state."+r.State.String()),
			t.e.text("cli.rehearse.live.direct", "count", thousands(r.Direct)),
			t.e.text("cli.rehearse.live.detour", "count", thousands(r.Detour)),
			t.e.text("cli.rehearse.live.refused", "count", thousands(r.Refused)))
	}
	var b strings.Builder
	tab.write(&b)
	text := "\n" + b.String() + "  " + t.e.text("cli.rehearse.live.clock", "clock", t.board.Clock, "waiting", thousands(t.board.Waiting)) + "\n"
	room := columns(t.e.err)
	for line := range strings.Lines(text) {
		t.e.printf("%s\n", fit(strings.TrimRight(line, "\n"), room))
		t.lines++
	}
}

// mark is a sign for a state that can be told without colours.
func mark(s health.State) string {
	switch s {
	case health.Healthy:
		return "●"
	case health.Suspect:
		return "◐"
	case health.Recovering:
		return "◑"
	}
	return "○"
}

// columns returns how wide the terminal is.
func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return int(size.Col)
		}
	}
	return 80
}

// fit cuts a line so that it stays one line on a terminal.
func fit(line string, columns int) string {
	if width(line) < columns {
		return line
	}
	var b strings.Builder
	used := 0
	for _, r := range line {
		if used += width(string(r)); used >= columns-1 {
			break
		}
		fmt.Fprint(&b, string(r))
	}
	return b.String()
}

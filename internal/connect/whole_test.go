package connect

import (
	"strings"
	"testing"
)

func TestAProgramThatBecameAScriptComesBackWhole(t *testing.T) {
	before, after := "\x7fELF\n\x00a\nb\n", "#!/bin/sh\n"
	r := &record{Path: "/bin/p", Whole: true, Before: &blob{Sum: sum([]byte(before)), Attr: attr{Mode: 0o711}}, After: &blob{Sum: sum([]byte(after)), Attr: attr{Mode: 0o755}}}
	for name, c := range map[string]struct {
		current string
		mode    uint32
		want    string
	}{
		"as ukai left it":               {after, 0o711, before},
		"a package has brought another": {"\x7fELF\n\x00a\nc\n", 0o750, "\x7fELF\n\x00a\nc\n"},
		"it was put back by hand":       {before, 0o711, before},
	} {
		f := &cleaned{record: r, was: &seen{text: []byte(c.current), attr: attr{Mode: 0o750}}}
		f.take([]byte(before), []byte(after), false)
		if got := f.restored(); string(f.text) != c.want || uint32(got.Mode) != c.mode {
			t.Errorf("%s: %q %v", name, f.text, got.Mode)
		}
	}
	gone := &cleaned{record: r}
	if gone.take([]byte(before), []byte(after), false); gone.text != nil {
		t.Errorf("a file that was removed comes back: %q", gone.text)
	}
}

func TestAProgramIsNotShownAsLines(t *testing.T) {
	p := &Proposal{}
	p.add(planned{path: "/bin/p", was: &seen{text: []byte("\x7fELF\x00")}, to: []byte("#!/bin/sh\n")})
	if got := p.Changes[0].Diff; !strings.HasPrefix(got, "Binary files /bin/p ") || strings.Contains(got, "ELF") {
		t.Errorf("%q", got)
	}
}

package classify

import (
	"fmt"
	"strings"
	"testing"

	"ukai/internal/outcome"
)

// BenchmarkReplies judges the examples of all rules, one an operation.
func BenchmarkReplies(b *testing.B) {
	for _, times := range []int{1, 3} {
		b.Run(fmt.Sprintf("%d times the rules", times), func(b *testing.B) {
			r, err := compile(multiplied(b, times))
			if err != nil {
				b.Fatal(err)
			}
			var texts []string
			octets := 0
			for _, x := range rules(b).rules {
				texts = append(texts, x.rule.Example)
				octets += len(x.rule.Example)
			}
			b.SetBytes(int64(octets / len(texts)))
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				r.Text("", texts[n%len(texts)])
			}
		})
	}
}

// multiplied returns the embedded rules and copies of them that look for other words: the letters are turned round.
func multiplied(b *testing.B, times int) []*File {
	files, err := readFiles(embedded, "rules")
	if err != nil {
		b.Fatal(err)
	}
	originals := files
	for n := 1; n < times; n++ {
		turn := func(list []string) []string {
			out := make([]string, len(list))
			for i, s := range list {
				out[i] = strings.Map(func(c rune) rune {
					if c >= 'a' && c <= 'z' {
						return 'a' + (c-'a'+rune(5*n))%26
					}
					return c
				}, strings.NewReplacer("{ip}", "qq", "{addr}", "qq").Replace(s))
			}
			return out
		}
		copied := &File{name: fmt.Sprintf("copy%d", n)}
		for _, f := range originals {
			for _, r := range f.Rule {
				if len(r.Any)+len(r.All) == 0 {
					continue
				}
				r.Name, r.Only = f.name+r.Name, false
				r.Any, r.All, r.None = turn(r.Any), turn(r.All), turn(r.None)
				copied.Rule = append(copied.Rule, r)
			}
		}
		files = append(files, copied)
	}
	return files
}

func BenchmarkClassify(b *testing.B) {
	r := rules(b)
	for name, o := range map[string]*outcome.Outcome{
		"Gmail":        said("google", outcome.EndOfData, gmail4),
		"user unknown": said("example.org", outcome.RcptTo, "550 5.1.1 <user@example.org>: Recipient address rejected: User unknown in virtual mailbox table"),
		"delivered":    said("google", outcome.EndOfData, "250 2.0.0 OK"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Classify(o)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		files, err := readFiles(embedded, "rules")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := compile(files); err != nil {
			b.Fatal(err)
		}
	}
}

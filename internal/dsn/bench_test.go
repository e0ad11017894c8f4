package dsn

import (
	"bytes"
	"os"
	"testing"
)

// BenchmarkRead reads typical reports of three forms.
func BenchmarkRead(b *testing.B) {
	known()
	for _, name := range []string{"postfix", "qmail", "office365", "kddi"} {
		b.Run(name, func(b *testing.B) {
			mail := readBench(b, "testdata/read/"+name+".eml")
			b.SetBytes(int64(len(mail)))
			b.ReportAllocs()
			for b.Loop() {
				if Read(mail).Kind != Bounce {
					b.Fatal("not read")
				}
			}
		})
	}
}

// readBench returns a mail whose original has grown to the size that originals usually have.
func readBench(b *testing.B, name string) []byte {
	b.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	return append(content, bytes.Repeat([]byte("Thank you for your order, which we send today.\r\n"), 100)...)
}

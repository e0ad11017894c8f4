package classify

import "testing"

func BenchmarkText(b *testing.B) {
	r, err := Load()
	if err != nil {
		b.Fatal(err)
	}
	for name, s := range map[string]string{
		"gmail":   "550-5.7.1 [192.0.2.1      18] Our system has detected that this message is 550-5.7.1 likely suspicious due to the very low reputation of the sending IP 550-5.7.1 address. To best protect our users from spam, the message has been 550-5.7.1 blocked. Please visit 550 5.7.1 https://support.google.com/mail/answer/188131 for more information. x - gsmtp",
		"unknown": "550 5.1.1 <user@example.org>: Recipient address rejected: User unknown in virtual mailbox table",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				r.Text("", s)
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
		r, err := compile(files)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(r.find.words)), "nodes")
		b.ReportMetric(float64(len(r.find.rows)/256), "rows")
		b.ReportMetric(float64(len(r.phrases)), "phrases")
	}
}

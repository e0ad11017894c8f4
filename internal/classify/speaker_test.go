package classify

import "testing"

func TestAProviderIsKnownByItsWords(t *testing.T) {
	r, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"550-5.7.1 low reputation of the sending IP 550 5.7.1 x - gsmtp":                "google",
		"550 5.7.1 Mail from IP 192.0.2.1 was rejected, see https://support.apple.com/": "icloud",
		"550 5.1.1 User unknown":                                     "",
		"550 5.7.1 see https://support.apple.com/ x - gsmtp":         "", // two at once
		"550 5.7.1 [AB1.eurprd05.prod.outlook.com] blocked by S3140": "", // of two that share their words
		"": "",
	} {
		if got := r.Speaker(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

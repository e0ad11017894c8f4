package rehearse

import (
	"encoding/json"
	"testing"

	"ukai/internal/i18n"
)

// The story that everything is about is played as it is shipped, with all of its mail.
func TestTheRefusalsOf2019(t *testing.T) { playShipped(t, DefaultScenario, 1) }

// The other stories, each as it is shipped.
func TestTheOtherStories(t *testing.T) {
	for _, name := range Shipped()[1:] {
		t.Run(name, func(t *testing.T) { playShipped(t, name, 1) })
	}
}

func playShipped(t *testing.T, name string, scale float64) *Report {
	t.Helper()
	s, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), s, Options{Lang: i18n.EN, Scale: scale, Tell: func(e Entry) { t.Log(e.At, e.Name, e.Text) }})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK {
		t.Errorf("%v", r.Failed)
	}
	t.Log(string(b))
	return r
}

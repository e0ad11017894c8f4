package classify

import "testing"

func TestEveryRuleFiresOnItsOwnExample(t *testing.T) {
	r, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Check() {
		t.Error(p)
	}
}

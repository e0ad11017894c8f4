package cli

import (
	"strings"
	"testing"
)

func TestRulesAsTablesForPostfix(t *testing.T) {
	for flag, want := range map[string]string{
		"--reply":  "# For smtp_reply_filter of Postfix",
		"--status": "# For smtp_delivery_status_filter of Postfix",
	} {
		var out, err strings.Builder
		if code := run([]string{"rules", "postfix", flag}, at(&out, &err, nil)); code != 0 || !strings.HasPrefix(out.String(), want) || !strings.Contains(out.String(), "\n# google.low-reputation-ip\n") {
			t.Errorf("%s: %d %s %.100s", flag, code, err.String(), out.String())
		}
	}
	for _, wrong := range [][]string{{}, {"--reply", "--status"}} {
		var out, err strings.Builder
		if code := run(append([]string{"rules", "postfix"}, wrong...), at(&out, &err, nil)); code == 0 || out.Len() > 0 {
			t.Errorf("%q: %d", wrong, code)
		}
	}
}

package health

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"ukai/internal/i18n"
)

// field turns BlockCount into block_count, as the settings are written.
func field(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func TestTheDocumentTellsEveryThresholdAndReason(t *testing.T) {
	b, err := os.ReadFile("../../docs/health.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	// The fields of Thresholds with their defaults, as Go prints them.
	printed := fmt.Sprintf("%+v", Thresholds{}.withDefaults())
	fields := regexp.MustCompile(`(\w+):(\S+?)[ }]`).FindAllStringSubmatch(printed, -1)
	if len(fields) != 15 {
		t.Fatalf("%d thresholds: %s", len(fields), printed)
	}
	for _, f := range fields {
		value := f[2]
		if d, err := time.ParseDuration(value); err == nil {
			value = i18n.Duration(i18n.EN, d)
			if value == "1 d" {
				value = "24 h"
			}
		}
		row := "| `" + field(f[1]) + "` | " + value
		if !strings.Contains(doc, row+" |") && !strings.Contains(doc, row+",") {
			t.Errorf("docs/health.md has no row %q", row)
		}
	}
	for move, whys := range allowed {
		for _, why := range whys {
			if !strings.Contains(doc, "`"+why+"`") {
				t.Errorf("docs/health.md does not tell of %s>%s by %s", move[0], move[1], why)
			}
		}
	}
}

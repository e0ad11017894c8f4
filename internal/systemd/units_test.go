package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const packaging = "../../packaging"

// The manual of systemd is the judge where it is installed; what must stand in the units whatever it says is looked for in
// any case.
func TestTheUnitsAreWhatSystemdUnderstands(t *testing.T) {
	service, err := os.ReadFile(filepath.Join(packaging, "ukai.service"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Type=notify\n", "NoNewPrivileges=yes\n", "ProtectSystem=strict\n", "StateDirectory=ukai\n", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n"} {
		if !strings.Contains(string(service), want) {
			t.Errorf("ukai.service lacks %q", want)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return
	}
	dir := t.TempDir()
	// The program is not installed here: a stand-in takes its place.
	local := strings.ReplaceAll(string(service), "/usr/bin/ukai", "/bin/true")
	socket, err := os.ReadFile(filepath.Join(packaging, "ukai.socket"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"ukai.service": local, "ukai.socket": string(socket)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(analyze, "verify", "--man=no", filepath.Join(dir, "ukai.service"), filepath.Join(dir, "ukai.socket")).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

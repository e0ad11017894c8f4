package rehearse

import (
	"fmt"
	"os"
	"path/filepath"
)

// settings let a ukai serve on the data of a rehearsal. What waits in its queue has addresses of the real world, so the only
// egress is one that reaches nobody.
const settings = `# The ukai of a rehearsal, to look at what happened: "ukai serve" and "ukai trace", "ukai path list" with this file.
# What is left in its queue goes nowhere: the only way out is a port of this machine at which nobody listens.
data = %q

[dns]
servers = ["127.0.0.1:9"]

[http]
listen = ""

[[listener]]
name = "smtp"
address = "127.0.0.1:0"
relay = ["127.0.0.0/8"]

[[egress]]
name = "nowhere"
kind = "smarthost"
host = "127.0.0.1"
port = 9
tls = "none"
`

// keep writes the settings of a ukai that can serve on the data directory and returns the file's name.
func (p *play) keep(dir string) (string, error) {
	file := filepath.Join(dir, "ukai.toml")
	text := fmt.Sprintf(settings, p.main.cfg.Data)
	return file, os.WriteFile(file, []byte(text), 0o600)
}

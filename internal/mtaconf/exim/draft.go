package exim

import (
	"slices"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// draft is a plan that is being made.
type draft struct {
	sys    *mtaconf.System
	layout *layout
	conf   *conf
	ways   []way
	wish   mtaconf.Wish
	hosts  string // path of the file of hosts of refusing providers

	before []mtaconf.File            // files that others name
	blocks map[string]map[int]string // text that is put before lines, by file
	order  []string                  // the files in it
	fresh  map[string]bool           // of these, those that are not there
}

// plan makes the plan.
func (d *draft) plan(inst mtaconf.Instance) (*mtaconf.Plan, error) {
	d.blocks, d.fresh = make(map[string]map[int]string), make(map[string]bool)
	inst.MTA, inst.Dir = mtaconf.Exim, d.layout.dir()
	p := &mtaconf.Plan{Instance: inst, Mode: d.wish.Mode}
	if d.byFile() {
		head := "# Hosts that receive for providers that refuse this server's address. ukai writes this file anew.\n"
		d.before = append(d.before, mtaconf.File{Path: d.hosts, Text: []byte(head), Perm: 0o644, Moving: true})
		p.Routes = []mtaconf.RouteFile{{Path: d.hosts, Format: mtaconf.EximHosts}}
	}
	if d.wish.Mode != mtaconf.Relay && d.wish.Live != "" {
		p.Answer = "yes" // anything but nothing
	}
	if err := d.login(); err != nil {
		return nil, err
	}
	d.writeWays()
	if rule := d.retryRule(); rule != "" {
		d.put(d.retrySpot(), rule)
	}
	files, err := d.files()
	if err != nil {
		return nil, err
	}
	p.Files = files
	d.commands(p)
	p.Alive, p.Logs = d.alive(), d.logs()
	p.Alarms = []string{"Exim configuration error", "failed to expand"}
	d.tell(p)
	return p, nil
}

// byFile tells whether a file says which providers refuse: also beside live lookups.
func (d *draft) byFile() bool { return d.wish.Mode != mtaconf.Relay }

// writeWays puts our routers and transports where they belong.
func (d *draft) writeWays() {
	var done []*driver
	for _, w := range d.ways {
		d.put(d.routerSpot(w.router), d.router(w))
		for _, t := range w.transports {
			if !slices.Contains(done, t) {
				done = append(done, t)
				d.put(d.transportSpot(t), d.transport(t))
			}
		}
	}
}

// spot is where a text goes: before a line of a file.
type spot struct {
	path string
	line int
	// head and foot enclose the text in a file that is not there yet, or a section that is not.
	head, foot string
}

// put adds a text at a spot, behind what was put there before.
func (d *draft) put(s spot, text string) {
	lines := d.blocks[s.path]
	if lines == nil {
		lines = make(map[int]string)
		d.blocks[s.path] = lines
		d.order = append(d.order, s.path)
		d.fresh[s.path] = !d.sys.Exists(s.path)
	}
	there := lines[s.line]
	if there == "" {
		there = s.head
	}
	lines[s.line] = strings.TrimSuffix(there, s.foot) + text + s.foot
}

// files returns the files as they would be.
func (d *draft) files() ([]mtaconf.File, error) {
	files := d.before
	for _, name := range d.order {
		src := &source{path: name}
		if !d.fresh[name] {
			if src = d.conf.source(name); src == nil {
				var err error
				if src, err = open(d.sys, name); err != nil {
					return nil, i18n.Errorf("mtaconf.exim.error.unread", "path", name, "cause", err)
				}
			}
		}
		f := mtaconf.File{Path: name, Text: src.insert(d.blocks[name]), Perm: 0o644}
		files = append(files, f)
	}
	return files, nil
}

package api

import (
	"net/http"
	"slices"
	"strings"

	"ukai/internal/config"
	"ukai/internal/i18n"
)

func (p *Parts) knownEgress(name string) bool { return slices.Contains(p.Egresses(), name) }

// pathNames are what stands in the place of the egress in a path, as far as it is known beforehand: the egresses, and the
// connected and the watched servers that have paths of their own.
func (p *Parts) pathNames() []string {
	names := slices.Clone(p.Egresses())
	if p.Steering != nil {
		for _, s := range p.Steering.Servers.List() {
			names = append(names, s.PathName())
		}
	}
	if p.Watched != nil {
		names = append(names, p.Watched()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// pathName finds what a person means in the place of the egress, in whatever case it was written: also a server that is known by
// the paths it has, such as one of many in a log. The error says what there is.
func (p *Parts) pathName(written string) (string, error) {
	listed := p.pathNames()
	all := slices.Clone(listed)
	for _, info := range p.Health.List(p.Now()) {
		all = append(all, info.Key.Egress)
	}
	if slices.Contains(all, written) {
		return written, nil
	}
	if i := slices.IndexFunc(all, func(name string) bool { return strings.EqualFold(name, written) }); i >= 0 {
		return all[i], nil
	}
	if p.Steering != nil {
		if s, err := p.Steering.Servers.Get(written); err == nil { // its name is not among them: it shares an egress
			return "", inWords(http.StatusNotFound, i18n.Errorf("api.path.shares", "server", s.Name, "egress", s.Egress))
		}
	}
	there := strings.Join(listed, ", ")
	if near := config.Nearest(written, all); near != "" {
		return "", inWords(http.StatusNotFound, i18n.Errorf("api.path.unknown_near", "name", written, "near", near, "all", there))
	}
	return "", inWords(http.StatusNotFound, i18n.Errorf("api.path.unknown", "name", written, "all", there))
}

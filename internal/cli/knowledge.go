package cli

import (
	"ukai/internal/config"
	"ukai/internal/i18n"
	"ukai/internal/provider"
)

// knowledge returns the settings for a command that only wants to know about rules and providers; nil where there are none. A
// file that was named must be good; one that only lies in its place may be closed to who asks, and then the built-in
// knowledge is good enough.
func (e *env) knowledge() (*config.Config, error) {
	if e.configPath() == "" {
		return nil, nil //nolint:nilnil // no settings, no error
	}
	if e.configFlag != "" || e.getenv("UKAI_CONFIG") != "" {
		return e.config()
	}
	c, problems := e.load()
	if len(problems) > 0 {
		return nil, nil //nolint:nilnil // as above
	}
	return c, nil
}

// catalogue loads the providers, with the rows of a file where one is named.
func (e *env) catalogue(file string) (*provider.Catalogue, error) {
	load := provider.Load
	if file != "" {
		load = func() (*provider.Catalogue, error) { return provider.LoadFile(file) }
	}
	c, err := load()
	if err != nil {
		return nil, i18n.Errorf("cli.provider.catalogue", "file", file, "cause", err)
	}
	return c, nil
}

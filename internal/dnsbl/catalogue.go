package dnsbl

import (
	"bytes"
	_ "embed" // the catalogue
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"

	"ukai/internal/i18n"
)

//go:embed catalogue.toml
var embedded []byte

// Catalogue is what is known of lists. It is not changed after it was loaded.
type Catalogue struct {
	// Extends adds the rows of the embedded catalogue, but for those whose id stands here too.
	Extends bool    `toml:"extends"`
	Lists   []*List `toml:"list"`
	// Common are error codes that mean the same on every list.
	Common []Code            `toml:"common"`
	Feeds  []FeedSource      `toml:"feed"`
	Public PublicResolvers   `toml:"public"`
	Keys   map[string]string `toml:"keys"`
	// Sources says what the short names in About.Sources stand for.
	Sources map[string]string `toml:"sources"`

	common codeTable
}

// FeedSource is where a list gives its data away.
type FeedSource struct {
	ID         string   `toml:"id"`
	URLs       []string `toml:"urls"`
	Format     Format   `toml:"format"`
	Cost       string   `toml:"cost"`
	Use        string   `toml:"use"`
	Sources    []string `toml:"sources"`
	Confidence string   `toml:"confidence"`
}

// PublicResolvers are resolvers that anybody may use, and that lists of consequence do not talk to.
type PublicResolvers struct {
	Resolvers []netip.Addr `toml:"resolvers"`
}

var load = sync.OnceValues(func() (*Catalogue, error) {
	c, err := parse("catalogue.toml", embedded)
	if err != nil {
		return nil, err
	}
	if err := c.finish(nil); err != nil {
		return nil, err
	}
	return c, nil
})

// Load returns the embedded catalogue. It fails only when that is broken, which a test rules out.
func Load() (*Catalogue, error) { return load() }

// LoadFile returns the catalogue of a file. All mistakes are returned at once, each with file and line and what to do; a
// catalogue that was loaded before stays what it is. The data of feeds that rows name is loaded with it.
func LoadFile(path string) (*Catalogue, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, i18n.Errorf("dnsbl.file.read", "file", path, "cause", err)
	}
	c, err := parse(path, text)
	if err != nil {
		return nil, err
	}
	base, err := Load()
	if err != nil {
		return nil, err
	}
	for _, l := range c.Lists {
		if p := l.Feed.Path; p != "" && !filepath.IsAbs(p) { // as seen from the catalogue
			l.Feed.Path = filepath.Join(filepath.Dir(path), p)
		}
	}
	if err := c.finish(base); err != nil {
		return nil, err
	}
	if err := c.loadFeeds(); err != nil {
		return nil, err
	}
	return c, nil
}

// Parse reads a catalogue from memory; name stands for it in errors.
func Parse(name string, text []byte) (*Catalogue, error) {
	c, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	base, err := Load()
	if err != nil {
		return nil, err
	}
	if err := c.finish(base); err != nil {
		return nil, err
	}
	return c, nil
}

func parse(name string, text []byte) (*Catalogue, error) {
	c := new(Catalogue)
	d := toml.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, place(name, err)
	}
	k := checker{name: name, lines: strings.Split(string(text), "\n")}
	k.catalogue(c)
	if len(k.errs) > 0 {
		return nil, errors.Join(k.errs...)
	}
	return c, nil
}

// finish takes over from the embedded catalogue what the file wants or does not say, and hands out the keys.
func (c *Catalogue) finish(base *Catalogue) error {
	if base != nil {
		c.Common = append(c.Common, base.Common...)
		if len(c.Public.Resolvers) == 0 {
			c.Public = base.Public
		}
		if c.Extends {
			c.Lists = append(c.Lists, without(base.Lists, c.Lists)...)
		}
	}
	common, i, ok := newCodeTable(c.Common)
	if !ok {
		return fmt.Errorf("common code %q", c.Common[i].Code)
	}
	c.common = common
	for _, l := range c.Lists {
		if key := c.keyOf(l.ID); key != "" {
			l.SetKey(key)
		}
	}
	return nil
}

// without returns copies of the rows whose ids do not stand in own.
func without(rows, own []*List) []*List {
	have := make(map[string]bool)
	for _, l := range own {
		have[l.ID] = true
	}
	var rest []*List
	for _, l := range rows {
		if !have[l.ID] {
			copied := *l
			rest = append(rest, &copied)
		}
	}
	return rest
}

// keyOf finds the key of a list by its id, or by the beginning of it.
func (c *Catalogue) keyOf(id string) string {
	for name, key := range c.Keys {
		if id == name || strings.HasPrefix(id, name+"-") {
			return key
		}
	}
	return ""
}

// List returns the row with an id or a zone, or nil.
func (c *Catalogue) List(name string) *List {
	for _, l := range c.Lists {
		if l.ID == name || l.Zone == name && name != "" {
			return l
		}
	}
	return nil
}

// For returns the lists to ask about a kind of target: those of the profiles core and extended, context, and the ones with a
// key; with all also those that are off, but never dead ones.
func (c *Catalogue) For(k Kind, all bool) []*List {
	var lists []*List
	for _, l := range c.Lists {
		if l.Dead() || !l.Holds(k) || !l.usable() || l.Use.Profile == Off && !all {
			continue
		}
		if l.Use.Profile == OptIn && l.key == "" && !all && l.Feed.Path == "" {
			continue
		}
		lists = append(lists, l)
	}
	return lists
}

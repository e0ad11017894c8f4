package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"ukai/internal/classify"
	"ukai/internal/explain"
	"ukai/internal/i18n"
	"ukai/internal/provider"
)

// maxExplain is how much of one input is read. A mail of that size holds its reasons in its first part.
const maxExplain = 4 << 20

// explainFlags are the flags of explain.
type explainFlags struct {
	provider, rules, batch string
	suggest, all           bool
}

func newExplain(e *env) *cobra.Command {
	var f explainFlags
	cmd := e.command("explain [FILE...]", "cli.explain.", args(0, -1), func(_ *cobra.Command, files []string) error {
		if f.batch != "" && len(files) > 0 {
			return usage("cli.explain.batch_alone", "file", files[0])
		}
		x, err := e.explainer(f.rules)
		if err != nil {
			return err
		}
		if f.batch != "" {
			return e.batch(x, f.batch)
		}
		return e.explain(x, files, &f)
	})
	cmd.ValidArgsFunction = nil // files
	cmd.Flags().StringVar(&f.provider, "provider", "", e.text("cli.explain.flag.provider"))
	cmd.Flags().StringVar(&f.rules, "rules", "", e.text("cli.explain.flag.rules"))
	cmd.Flags().StringVar(&f.batch, "batch", "", e.text("cli.explain.flag.batch"))
	cmd.Flags().BoolVar(&f.suggest, "suggest", false, e.text("cli.explain.flag.suggest"))
	cmd.Flags().BoolVar(&f.all, "all", false, e.text("cli.explain.flag.all"))
	must(cmd.MarkFlagDirname("rules"))
	must(cmd.MarkFlagFilename("batch", "jsonl"))
	must(cmd.RegisterFlagCompletionFunc("provider", completeProviders))
	return cmd
}

// completeProviders offers the providers of the catalogue.
func completeProviders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	c, err := provider.Load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, r := range c.All() {
		if !r.Separate {
			out = append(out, r.Provider+"\t"+r.Name)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// explainer makes what judges: with the rules of a directory, or those that the settings name, before the built-in ones.
func (e *env) explainer(dir string) (*explain.Explainer, error) {
	catalogue := ""
	if c, err := e.knowledge(); err != nil {
		return nil, err
	} else if c != nil {
		catalogue = c.Provider.File
		if dir == "" {
			dir = c.Classify.Dir
		}
	}
	load := classify.Load
	if dir != "" {
		load = func() (*classify.Rules, error) { return classify.LoadDir(dir) }
	}
	rules, err := load()
	if err != nil {
		return nil, i18n.Errorf("cli.explain.rules", "dir", dir, "cause", err)
	}
	providers, err := e.catalogue(catalogue)
	if err != nil {
		return nil, err
	}
	return explain.New(rules, providers), nil
}

// explain reads each input, or standard input, and tells what it means.
func (e *env) explain(x *explain.Explainer, files []string, f *explainFlags) error {
	if len(files) == 0 {
		files = []string{"-"}
	}
	var told []*answer
	var failed error
	for _, name := range files {
		a, err := e.answer(x, name, f)
		if err != nil && len(files) == 1 {
			return err
		}
		if err != nil { // the others are told nevertheless
			e.printf("ukai: %s\n", i18n.ErrorText(e.lang, err))
			failed = errFound
			continue
		}
		told = append(told, a)
	}
	if e.json && len(files) == 1 {
		return e.writeJSON(told[0])
	}
	if err := e.show(told, func(w io.Writer) {
		for i, a := range told {
			if i > 0 {
				fmt.Fprintln(w)
			}
			if len(files) > 1 {
				fmt.Fprintf(w, "== %s ==\n", a.File)
			}
			e.tell(w, x, a, f)
		}
	}); err != nil {
		return err
	}
	return failed
}

// answer is what one input means.
type answer struct {
	File  string
	found []explain.Finding // the one that matters most first; never empty
	words explain.Words
	near  []classify.Near
	cut   bool // there was more than maxExplain
}

// MarshalJSON makes the Finding that matters most the answer, and adds what else there is.
func (a *answer) MarshalJSON() ([]byte, error) {
	more := extras{File: a.File, Words: &a.words, Near: a.near, Others: a.found[1:], Cut: a.cut}
	if a.File == "-" {
		more.File = ""
	}
	return flat(&a.found[0], more)
}

// extras are what an answer has besides its first Finding.
type extras struct {
	ID     any               `json:"id,omitempty"`
	File   string            `json:"file,omitempty"`
	Words  *explain.Words    `json:"words,omitempty"`
	Near   []classify.Near   `json:"nearest_rules,omitempty"`
	Others []explain.Finding `json:"others,omitempty"` // further recipients, further lines
	Cut    bool              `json:"cut,omitempty"`    // only the beginning was read
}

// flat makes one object of a Finding and of what else there is.
func flat(f *explain.Finding, more extras) ([]byte, error) {
	a, err := f.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write an answer: %w", err)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(more); err != nil {
		return nil, fmt.Errorf("write an answer: %w", err)
	}
	b := bytes.TrimSpace(buf.Bytes())
	if len(b) == len("{}") {
		return a, nil
	}
	if more.ID != nil { // what names it comes first
		return append(append(b[:len(b)-1], ','), a[1:]...), nil
	}
	return append(append(a[:len(a)-1], ','), b[1:]...), nil
}

// answer reads one input and finds out what it means.
func (e *env) answer(x *explain.Explainer, name string, f *explainFlags) (*answer, error) {
	b, cut, err := e.read(name)
	if err != nil {
		return nil, err
	}
	found := x.AnyFrom(f.provider, b)
	if len(found) == 0 {
		return nil, i18n.Errorf("cli.explain.empty")
	}
	a := &answer{File: name, found: found, cut: cut}
	a.words = x.Say(e.lang, &a.found[0])
	if f.suggest || a.found[0].Verdict.Class == classify.Unclassified && e.json {
		a.near = x.Rules.Nearest(a.found[0].Text, nearest)
	}
	return a, nil
}

// nearest is how many rules are suggested.
const nearest = 5

// read returns an input, at most maxExplain of it. Somebody who sits at a terminal is told what is waited for.
func (e *env) read(name string) (b []byte, cut bool, err error) {
	r := e.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, false, i18n.Errorf("cli.explain.read", "file", name, "cause", err)
		}
		defer f.Close()
		r = f
	} else if typed(e.in) {
		e.printf("%s\n", e.text("cli.explain.paste"))
	}
	b, err = io.ReadAll(io.LimitReader(r, maxExplain+1))
	if err != nil {
		return nil, false, i18n.Errorf("cli.explain.read", "file", name, "cause", err)
	}
	if len(b) > maxExplain {
		b, cut = b[:maxExplain], true
	}
	return b, cut, nil
}

// Command classify measures package classify on a file of labelled texts.
//
//	go run ./bench/classify -items items.jsonl -out predictions.jsonl [-rounds 200] [-times 3]
//	go run ./bench/classify -loso DIR
//	go run ./bench/classify reports [-n 2000] [-rounds 20]
//
// -times measures with as many times the rules. -loso takes a directory with items.jsonl, whose items also have source,
// expected_class and also_acceptable, and tells how well each source is understood without the rules that come from it alone.
// The last form measures how fast delivery reports are read and judged; it makes them itself.
//
// An item is one JSON object a line: id, kind (smtp_response, log_line) and text; reply instead of text where a log line
// has been taken apart already; provider where it is known. The predictions are one object a line: id, class, blame, scope,
// detour_helps, retry, list, ip, url, rule. The rate that is printed is that of one core, all rules loaded.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"syscall"
	"time"

	"ukai/internal/classify"
)

type item struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"`
	Text  string `json:"text"`
	Reply string `json:"reply"`
}

type prediction struct {
	ID     string         `json:"id"`
	Class  string         `json:"class"`
	Blame  classify.Blame `json:"blame"`
	Scope  classify.Scope `json:"scope"`
	Detour bool           `json:"detour_helps"`
	Retry  bool           `json:"retry"`
	List   string         `json:"list,omitempty"`
	IP     string         `json:"ip,omitempty"`
	URL    string         `json:"url,omitempty"`
	Code   string         `json:"code,omitempty"`
	Rule   string         `json:"rule,omitempty"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "reports" {
		if err := reports(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	items := flag.String("items", "", "file of labelled texts, JSON lines")
	out := flag.String("out", "", "file for the predictions; none are written without it")
	rounds := flag.Int("rounds", 0, "how often to judge all texts for the measurement of speed")
	times := flag.Int("times", 1, "how many times the rules to load")
	loso := flag.String("loso", "", "directory of a labelled collection: leave one source out")
	flag.Parse()
	var err error
	if *loso != "" {
		err = outOf(*loso)
	} else {
		err = run(*items, *out, *rounds, *times)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func outOf(dir string) error {
	rules, err := classify.Load()
	if err != nil {
		return err
	}
	return leaveOneSourceOut(os.Stdout, rules, dir)
}

func run(path, out string, rounds, times int) error {
	start := time.Now()
	rules, err := classify.Load()
	if err != nil {
		return err
	}
	if times > 1 {
		if rules, err = multiplied(rules, times); err != nil {
			return err
		}
	}
	fmt.Printf("%d rules loaded in %v\n", rules.Len(), time.Since(start).Round(time.Millisecond))
	texts, err := read(path)
	if err != nil {
		return err
	}
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := predict(f, rules, texts); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	measure(rules, texts, rounds)
	return nil
}

func read(path string) ([]item, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []item
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var i item
		if err := json.Unmarshal(lines.Bytes(), &i); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if i.Reply != "" {
			i.Text = i.Reply
		}
		if i.Text != "" {
			all = append(all, i)
		}
	}
	return all, lines.Err()
}

func predict(w io.Writer, rules *classify.Rules, texts []item) error {
	enc := json.NewEncoder(w)
	for _, i := range texts {
		v := rules.Text("", i.Text)
		p := prediction{ID: i.ID, Class: v.Class, Blame: v.Blame, Scope: v.Scope, Detour: v.Detour, Retry: v.Action == classify.Retry, List: v.List, URL: v.URL, Code: v.Code, Rule: v.Rule}
		if v.IP.IsValid() {
			p.IP = v.IP.String()
		}
		if err := enc.Encode(p); err != nil {
			return err
		}
	}
	return nil
}

func measure(rules *classify.Rules, texts []item, rounds int) {
	if rounds == 0 || len(texts) == 0 {
		return
	}
	runtime.GOMAXPROCS(1)
	octets := 0
	for _, i := range texts {
		octets += len(i.Text)
	}
	best := time.Duration(math.MaxInt64)
	for range rounds { // the best round is the one that others on the machine disturbed least
		start := cpuTime()
		for i := range texts {
			rules.Text("", texts[i].Text)
		}
		best = min(best, cpuTime()-start)
	}
	fmt.Printf("%d replies of %d octets on average: %.0f replies/s, %.1f MB/s\n",
		len(texts), octets/len(texts), float64(len(texts))/best.Seconds(), float64(octets)/best.Seconds()/1e6)
}

// cpuTime is what the process has used of its one core: what others do on the machine does not count.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

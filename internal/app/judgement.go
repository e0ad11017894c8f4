package app

import (
	"context"
	"time"

	"ukai/internal/classify"
	"ukai/internal/config"
	"ukai/internal/unclassified"
)

// rulesEvery is how often the directory of rules is looked at.
const rulesEvery = 2 * time.Second

// openJudgement loads the rules and opens the list of replies that none of them knows. Broken rules of the admin's end the
// start: whoever has just written them is there to read why. Later on, they only leave the rules in use as they are.
func (a *App) openJudgement(ctx context.Context, cfg *config.Config) (err error) {
	if a.rules, err = classify.NewLive(cfg.Classify.Dir); err != nil {
		return err
	}
	a.unclassified, err = unclassified.Open(ctx, a.db, unclassified.Options{}, a.log.With("room", "unclassified"))
	return err
}

// watchRules takes in changed rules while mail flows.
func (a *App) watchRules(ctx context.Context) error {
	tick := time.NewTicker(rulesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		a.mu.Lock()
		dir := a.cfg.Classify.Dir
		a.mu.Unlock()
		changed, err := a.rules.Changed(dir)
		if changed {
			a.sayRules(dir, err)
		}
	}
}

// sayRules logs what became of changed rules.
func (a *App) sayRules(dir string, err error) {
	log := a.log.With("room", "classify", "dir", dir)
	if err != nil {
		log.Error("changed rules not taken: those in use stay", "error", err)
		return
	}
	rules := a.rules.Rules()
	log.Info("rules taken", "rules", rules.Len())
	for _, p := range rules.Check() {
		log.Warn("rule does not do what its example says", "rule", p.Rule, "why", p.String())
	}
}

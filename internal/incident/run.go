package incident

import (
	"context"
	"log/slog"
	"time"
)

// Run closes what is calm and stores what has changed, until ctx ends; then it stores once more.
func (b *Book) Run(ctx context.Context, log *slog.Logger) error {
	save := func(ctx context.Context) {
		if err := b.Save(ctx); err != nil {
			log.Warn("incidents not saved", "error", err)
		}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			save(context.WithoutCancel(ctx))
			return nil
		case now := <-tick.C:
			b.Tick(now)
			save(ctx)
		}
	}
}

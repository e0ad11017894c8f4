package incident

import (
	"context"
	"log/slog"
	"time"

	"ukai/internal/store"
)

// Run closes what is calm and stores what has changed, until ctx ends; then it stores once more.
func (b *Book) Run(ctx context.Context, db *store.DB, log *slog.Logger) error {
	save := func(ctx context.Context) {
		if err := b.Save(ctx, db); err != nil {
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

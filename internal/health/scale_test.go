package health

import (
	"reflect"
	"testing"
	"time"
)

func TestScaledDividesEveryTimeAndNoNumber(t *testing.T) {
	whole, fast := reflect.ValueOf(Thresholds{}.withDefaults()), reflect.ValueOf(Thresholds{}.Scaled(60))
	for i := range whole.NumField() {
		name := whole.Type().Field(i).Name
		want := whole.Field(i).Int()
		if whole.Field(i).Type() == reflect.TypeFor[time.Duration]() {
			want /= 60
		}
		if got := fast.Field(i).Int(); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	if (Thresholds{}).Scaled(0) != (Thresholds{}).withDefaults() {
		t.Error("a speed of 0 changes something")
	}
	if all := (Thresholds{}).Scaled(1e15).Validate(); len(all) > 0 {
		t.Errorf("at a great speed: %v", all)
	}
}

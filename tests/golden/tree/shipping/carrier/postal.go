package carrier

import (
	"context"
	"fmt"
	"time"
)

// PostalCarrier is the national post: slow, cheap, goes everywhere.
type PostalCarrier struct {
	next int
}

func (c *PostalCarrier) Name() string { return "post" }

func (c *PostalCarrier) Quote(p Parcel) (int, error) {
	cents := 399
	switch {
	case p.WeightGram > 31500:
		return 0, ErrNotServed
	case p.WeightGram > 10000:
		cents = 1649
	case p.WeightGram > 2000:
		cents = 749
	}
	if p.Country != "DE" {
		cents += 600
	}
	return cents, nil
}

func (c *PostalCarrier) BookPickup(ctx context.Context, parcels []Parcel, day time.Time) error {
	// Die Post holt sonntags nicht ab.
	if day.Weekday() == time.Sunday {
		return fmt.Errorf("post: no pickup on %s", day.Format("2006-01-02"))
	}
	return ctx.Err()
}

func (c *PostalCarrier) PrintLabel(ctx context.Context, p Parcel) (Label, error) {
	c.next++
	number := fmt.Sprintf("RR%09d%sDE", c.next, checkDigit(c.next))
	return Label{TrackingNumber: number, Carrier: c.Name(), PDF: []byte("%PDF-1.4 " + number)}, ctx.Err()
}

// checkDigit weighs the digits of a consignment number as the postal union prescribes.
func checkDigit(serial int) string {
	weights := []int{8, 6, 4, 2, 3, 5, 9, 7}
	digits := fmt.Sprintf("%08d", serial)
	sum := 0
	for i, weight := range weights {
		sum += int(digits[i]-'0') * weight
	}
	rest := 11 - sum%11
	if rest == 10 {
		rest = 0
	} else if rest == 11 {
		rest = 5
	}
	return fmt.Sprint(rest)
}

package carrier

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// CourierCarrier is the bicycle courier: same day, inner cities only.
type CourierCarrier struct {
	Endpoint string
	Client   *http.Client
	Cities   map[string]bool
}

func (c *CourierCarrier) Name() string { return "courier" }

func (c *CourierCarrier) Quote(p Parcel) (int, error) {
	if p.Country != "DE" || len(p.Postcode) < 2 || !c.Cities[p.Postcode[:2]] || p.WeightGram > 8000 {
		return 0, ErrNotServed
	}
	return 590 + p.WeightGram/1000*80, nil
}

func (c *CourierCarrier) BookPickup(ctx context.Context, parcels []Parcel, day time.Time) error {
	body, err := json.Marshal(map[string]any{"count": len(parcels), "day": day.Format(time.DateOnly)})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Endpoint+"/pickups", bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := c.Client.Do(request)
	if err != nil {
		return fmt.Errorf("courier: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("courier: pickup refused with %s", response.Status)
	}
	return nil
}

func (c *CourierCarrier) PrintLabel(ctx context.Context, p Parcel) (Label, error) {
	return Label{TrackingNumber: "C-" + p.ID, Carrier: c.Name(), PDF: []byte("%PDF-1.4 " + p.ID)}, ctx.Err()
}

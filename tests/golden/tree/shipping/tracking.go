package shipping

import (
	"sort"
	"strings"
	"time"
)

// ScanEvent is one beep of a handheld scanner on a parcel's way.
type ScanEvent struct {
	Tracking string
	Code     string
	Place    string
	At       time.Time
}

var stages = map[string]int{"announced": 0, "collected": 1, "sorted": 2, "out": 3, "delivered": 4, "returned": 5}

// LatestStage tells how far a parcel has come, whatever order its scans arrived in.
func LatestStage(events []ScanEvent) string {
	best, name := -1, "unknown"
	for _, event := range events {
		code := strings.ToLower(event.Code)
		if rank, ok := stages[code]; ok && rank > best {
			best, name = rank, code
		}
	}
	return name
}

// EstimateArrival guesses the delivery day from how long earlier parcels took on the same leg.
func EstimateArrival(sent time.Time, pastHours []float64) time.Time {
	if len(pastHours) == 0 {
		return sent.Add(72 * time.Hour)
	}
	sorted := append([]float64(nil), pastHours...)
	sort.Float64s(sorted)
	slowish := sorted[len(sorted)*9/10]
	arrival := sent.Add(time.Duration(slowish * float64(time.Hour)))
	if arrival.Weekday() == time.Sunday {
		arrival = arrival.AddDate(0, 0, 1)
	}
	return arrival
}

// LostParcels lists the consignments nobody has scanned for longer than the given time.
func LostParcels(last map[string]time.Time, now time.Time, silence time.Duration) []string {
	var lost []string
	for tracking, at := range last {
		if now.Sub(at) > silence {
			lost = append(lost, tracking)
		}
	}
	sort.Strings(lost)
	return lost
}

package shop.hazelmart.billing;

import java.time.LocalDate;
import java.util.List;

public record Invoice(
        String number, String orderId, String customer, LocalDate issuedOn, List<Line> lines, String corrects) {

    public record Line(String text, int quantity, long unitCents) {
        public long totalCents() {
            return Math.multiplyExact(quantity, unitCents);
        }
    }

    public long totalCents() {
        return lines.stream().mapToLong(Line::totalCents).sum();
    }

    public boolean isCreditNote() {
        return corrects != null;
    }
}

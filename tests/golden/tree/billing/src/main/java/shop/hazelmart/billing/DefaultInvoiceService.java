package shop.hazelmart.billing;

import java.time.Clock;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

public final class DefaultInvoiceService implements InvoiceService {
    private final Map<String, Invoice> invoices = new LinkedHashMap<>();
    private final InvoiceNumbers numbers;
    private final Clock clock;

    public DefaultInvoiceService(InvoiceNumbers numbers, Clock clock) {
        this.numbers = numbers;
        this.clock = clock;
    }

    @Override
    public synchronized Invoice issue(String orderId, String customer, List<Invoice.Line> lines) {
        if (lines.isEmpty()) {
            throw new IllegalArgumentException("an invoice needs at least one line");
        }
        LocalDate today = LocalDate.now(clock);
        Invoice invoice = new Invoice(numbers.next(today.getYear()), orderId, customer, today, List.copyOf(lines), null);
        invoices.put(invoice.number(), invoice);
        return invoice;
    }

    @Override
    public Optional<Invoice> find(String number) {
        return Optional.ofNullable(invoices.get(number));
    }

    @Override
    public synchronized Invoice cancel(String number, String reason) {
        Invoice original = find(number).orElseThrow(() -> new IllegalArgumentException("no invoice " + number));
        List<Invoice.Line> reversed = new ArrayList<>();
        for (Invoice.Line line : original.lines()) {
            reversed.add(new Invoice.Line(line.text() + " (" + reason + ")", line.quantity(), -line.unitCents()));
        }
        LocalDate today = LocalDate.now(clock);
        Invoice note = new Invoice(
                numbers.next(today.getYear()), original.orderId(), original.customer(), today, reversed, number);
        invoices.put(note.number(), note);
        return note;
    }

    @Override
    public List<Invoice> overdue(int days) {
        LocalDate limit = LocalDate.now(clock).minusDays(days);
        List<Invoice> late = new ArrayList<>();
        for (Invoice invoice : invoices.values()) {
            if (invoice.corrects() == null && invoice.issuedOn().isBefore(limit)) {
                late.add(invoice);
            }
        }
        return late;
    }
}

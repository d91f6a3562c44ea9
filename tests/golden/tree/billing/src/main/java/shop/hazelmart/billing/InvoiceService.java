package shop.hazelmart.billing;

import java.util.List;
import java.util.Optional;

/** Writes, finds and corrects invoices. */
public interface InvoiceService {
    Invoice issue(String orderId, String customer, List<Invoice.Line> lines);

    Optional<Invoice> find(String number);

    /** An invoice is never changed; a mistake is put right by a credit note that refers to it. */
    Invoice cancel(String number, String reason);

    List<Invoice> overdue(int days);
}

package dev.tercet;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A transaction as the coordinator shows it. What a newer coordinator says more, or in new words, is in {@link #json()}.
 *
 * @param gid its gid
 * @param instance which life of the gid, a UUID
 * @param pattern {@code tcc} or {@code saga}
 * @param status {@code trying}, {@code confirming}, {@code cancelling}, {@code confirmed} or {@code cancelled}
 * @param open whether it was begun as an open one
 * @param parked whether people should look
 * @param reason of a cancelled one, the kind of reason; else null
 * @param reasonDetail what the caller gave as reason; else null
 * @param deadlineAt when it is cancelled, or asked for, if it is undecided
 * @param branches its branches
 * @param json all that was said
 */
public record TransactionView(
        String gid,
        String instance,
        String pattern,
        String status,
        boolean open,
        boolean parked,
        String reason,
        String reasonDetail,
        Instant deadlineAt,
        List<BranchView> branches,
        JsonNode json) {

    /**
     * A branch as the coordinator shows it.
     *
     * @param id its id
     * @param participant the host and port of its participant
     * @param status {@code registered}, {@code tried}, {@code refused}, {@code confirmed}, {@code cancelled} or
     *     {@code skipped}
     * @param parked whether people should look
     * @param lastError what went wrong with its last call; else null
     * @param answer the body that its Try was refused with; else null
     * @param json all that was said
     */
    public record BranchView(
            String id, String participant, String status, boolean parked, String lastError, String answer, JsonNode json) {
        /**
         * What its Try was answered with, where that is kept.
         *
         * @return JSON
         */
        public Optional<JsonNode> result() {
            return Optional.ofNullable(json.get("result"));
        }

        static BranchView of(JsonNode json) {
            return new BranchView(
                    text(json, "id"),
                    text(json, "participant"),
                    text(json, "status"),
                    json.path("parked").asBoolean(),
                    text(json, "last_error"),
                    text(json.path("answer"), "body"),
                    json);
        }
    }

    /** What an answer says; null where it is none of a coordinator's. */
    static TransactionView of(JsonNode json) {
        if (json == null || text(json, "gid") == null || text(json, "instance") == null || text(json, "status") == null) {
            return null;
        }
        List<BranchView> branches = new ArrayList<>();
        json.path("branches").forEach(branch -> branches.add(BranchView.of(branch)));
        return new TransactionView(
                text(json, "gid"),
                text(json, "instance"),
                text(json, "pattern"),
                text(json, "status"),
                json.path("open").asBoolean(),
                json.path("parked").asBoolean(),
                text(json, "reason"),
                text(json, "reason_detail"),
                moment(text(json, "deadline_at")),
                List.copyOf(branches),
                json);
    }

    /** Why it was cancelled, in words: what a participant said, else what the caller gave as reason, else the kind of it. */
    String why() {
        for (BranchView branch : branches) {
            if (branch.answer() != null) {
                JsonNode said = Json.read(branch.answer());
                String detail = said == null ? null : text(said, "detail");
                String words = detail == null ? branch.answer() : detail;
                if (!words.isEmpty()) {
                    return branch.id() + ": " + words;
                }
            }
        }
        if (reasonDetail != null) {
            return reasonDetail;
        }
        return reason == null ? "no reason was given" : reason;
    }

    private static Instant moment(String text) {
        try {
            return text == null ? null : Instant.parse(text);
        } catch (DateTimeException error) {
            return null;
        }
    }

    static String text(JsonNode json, String field) {
        JsonNode value = json.get(field);
        return value == null || !value.isTextual() ? null : value.textValue();
    }
}

package dev.tercet;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** JSON as this library reads and writes it. */
final class Json {
    /**
     * Reads business data without guessing: a field that is missing is no zero, 1.5 is no 1, and "5" is no 5. Fields that
     * nobody knows are passed over, since a newer caller may send more.
     */
    static final ObjectMapper MAPPER = JsonMapper.builder()
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
            .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
            .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
            .disable(SerializationFeature.FAIL_ON_EMPTY_BEANS)
            .build();

    private static final JsonFactory FACTORY = MAPPER.getFactory();

    private Json() {}

    /** A value as text. */
    static String write(ObjectMapper mapper, String what, Object value) {
        try {
            return mapper.writeValueAsString(value);
        } catch (JsonProcessingException error) {
            throw new IllegalArgumentException(what + " cannot be written as JSON: " + error.getOriginalMessage(), error);
        }
    }

    /** A text that is one JSON value, as it is. */
    static String checked(String what, String json) {
        try {
            MAPPER.readTree(json);
            if (!json.isBlank()) {
                return json;
            }
        } catch (JsonProcessingException error) {
            throw new IllegalArgumentException(what + " is no JSON: " + error.getOriginalMessage(), error);
        }
        throw new IllegalArgumentException(what + " is no JSON: it is empty");
    }

    /** A text in JSON's quotes. */
    static String quoted(String text) {
        return write(MAPPER, "text", text);
    }

    /** A document, or null where the text is none. */
    static JsonNode read(String text) {
        try {
            return MAPPER.readTree(text);
        } catch (JsonProcessingException error) {
            return null;
        }
    }

    /** The text of bytes that are UTF-8, and no other. */
    static String utf8(byte[] bytes) throws CharacterCodingException {
        return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    }

    /** The values of an object as they are written, to the byte. */
    static Map<String, String> fields(String object) throws IOException {
        try (JsonParser parser = FACTORY.createParser(object)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new IOException("it is no object");
            }
            Map<String, String> fields = new LinkedHashMap<>();
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                parser.nextToken();
                int from = (int) parser.currentTokenLocation().getCharOffset();
                parser.skipChildren();
                parser.finishToken();
                int to = (int) parser.currentLocation().getCharOffset();
                if (fields.put(name, object.substring(from, to).strip()) != null) {
                    throw new IOException("it has \"" + name + "\" twice");
                }
            }
            if (parser.nextToken() != null) {
                throw new IOException("something follows it");
            }
            return fields;
        }
    }
}

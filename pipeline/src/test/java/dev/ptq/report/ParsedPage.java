package dev.ptq.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.xml.sax.InputSource;
import org.xml.sax.SAXException;

/** A report as a tree. It is XML too, so what is not closed or not escaped shows. */
public final class ParsedPage {
    private final Document document;

    private ParsedPage(Document document) {
        this.document = document;
    }

    /** Parses the page and checks what holds for all of them. */
    public static ParsedPage of(String html) {
        ParsedPage page;
        try {
            page = new ParsedPage(DocumentBuilderFactory.newInstance()
                    .newDocumentBuilder()
                    .parse(new InputSource(new StringReader(html))));
        } catch (ParserConfigurationException | SAXException | IOException e) {
            throw new AssertionError("the page is not well-formed: " + e.getMessage(), e);
        }
        page.checkThatNothingElseIsLoadedOrRun(html);
        page.checkThatChartsHaveSomethingToShow();
        return page;
    }

    private void checkThatNothingElseIsLoadedOrRun(String html) {
        assertThat(elements("script")).hasSize(1);
        assertThat(elements("style")).hasSize(1);
        for (Element element : elements("*")) {
            assertThat(element.getTagName())
                    .isNotIn("iframe", "object", "embed", "img", "image", "use", "form", "foreignObject", "base");
            for (int i = 0; i < element.getAttributes().getLength(); i++) {
                Node attribute = element.getAttributes().item(i);
                assertThat(attribute.getNodeName()).doesNotStartWith("on").isNotIn("src", "style", "xlink:href");
                if (attribute.getNodeName().equals("href")) {
                    assertThat(attribute.getNodeValue()).matches("#[a-z]+|data:,");
                }
            }
        }
        String policy = elements("meta").stream()
                .filter(meta -> meta.getAttribute("http-equiv").equals("Content-Security-Policy"))
                .map(meta -> meta.getAttribute("content"))
                .findFirst()
                .orElseThrow();
        assertThat(policy)
                .contains("default-src 'none'", "'" + digest(inside(html, "style")) + "'")
                .contains("'" + digest(inside(html, "script")) + "'")
                .doesNotContain("unsafe", "*", "http");
    }

    private void checkThatChartsHaveSomethingToShow() {
        for (Element svg : elements("svg")) {
            assertThat(withClass(svg, "mark").size() + withClass(svg, "series").size())
                    .as("marks in %s", svg.getTextContent())
                    .isPositive();
            assertThat(svg.getElementsByTagName("title").item(0).getTextContent())
                    .isNotBlank();
        }
    }

    private static String inside(String html, String element) {
        int start = html.indexOf("<" + element + ">") + element.length() + 2;
        return html.substring(start, html.indexOf("</" + element + ">", start));
    }

    /** What a policy calls a script. */
    public static String digest(String content) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(content.getBytes(StandardCharsets.UTF_8));
            return "sha256-" + Base64.getEncoder().encodeToString(hash);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }

    /** All elements of a name. */
    public List<Element> elements(String name) {
        return elements(document.getDocumentElement(), name);
    }

    /** Those below another. */
    public static List<Element> elements(Element parent, String name) {
        List<Element> elements = new ArrayList<>();
        for (Node node = parent.getFirstChild(); node != null; node = node.getNextSibling()) {
            if (node instanceof Element element) {
                if (name.equals("*") || name.equals(element.getTagName())) {
                    elements.add(element);
                }
                elements.addAll(elements(element, name));
            }
        }
        return elements;
    }

    /** Those below another that are of a class. */
    public static List<Element> withClass(Element parent, String name) {
        return elements(parent, "*").stream()
                .filter(element ->
                        List.of(element.getAttribute("class").split(" ", -1)).contains(name))
                .toList();
    }

    /** A part of the page. */
    public Element section(String id) {
        return elements("section").stream()
                .filter(section -> section.getAttribute("id").equals(id))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no section " + id));
    }

    /** The charts in a part. */
    public List<Element> charts(String id) {
        return elements(section(id), "svg");
    }

    /** The cells of a table, row by row, without its header. */
    public static List<List<String>> rows(Element table) {
        return elements((Element) table.getElementsByTagName("tbody").item(0), "tr").stream()
                .map(row -> elements(row, "*").stream()
                        .filter(cell -> cell.getTagName().matches("t[hd]"))
                        .map(Element::getTextContent)
                        .toList())
                .toList();
    }
}

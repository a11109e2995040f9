/**
 * Results as tables and as one page, for people and programs.
 *
 * <ul>
 *   <li>{@code collect} trusts no file that it finds: it checks sizes first, follows no links, and escapes text for
 *       the format that it writes.
 *   <li>The content security policy of a report names the digests of its one script and its one style sheet, so text
 *       of a result file that slipped through escaping would still run nothing. Charts are drawn with placeholder
 *       colours, which become variables of the page.
 * </ul>
 */
@NullMarked
package dev.ptq.report;

import org.jspecify.annotations.NullMarked;

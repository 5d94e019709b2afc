import com.pixelmed.validate.DicomSRValidator;
import java.lang.reflect.Field;

/**
 * Runs PixelMed's validator over many files in one virtual machine: compiling its rules takes longer than a file.
 *
 * <p>With Saxon as the XSLT processor it takes a tenth of the time: the JDK's own reads PixelMed's context groups anew for
 * every code. But Saxon also keeps what the first pass found, which is another document for every file.
 */
class PixelMed {
    public static void main(String[] files) throws Exception {
        DicomSRValidator validator = new DicomSRValidator();
        validator.setOptionMatchCaseOfCodeMeaning(true);
        validator.setOptionCheckTemplateID(true);
        validator.setOptionCheckAmbiguousTemplate(true);
        validator.setOptionCheckContentItemOrder(true);
        Field secondPass = DicomSRValidator.class.getDeclaredField("transformerPass2");
        secondPass.setAccessible(true);
        for (String file : files) {
            System.out.println("File: " + file);
            System.out.println(validator.validate(file));
            forgetDocuments(secondPass.get(validator));
        }
    }

    private static void forgetDocuments(Object transformer) throws Exception {
        Object controller = transformer.getClass().getMethod("getUnderlyingController").invoke(transformer);
        controller.getClass().getMethod("clearDocumentPool").invoke(controller);
    }
}
